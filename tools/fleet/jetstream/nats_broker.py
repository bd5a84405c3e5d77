"""A broker of NATS JetStream, spoken to from ordinary code: its client's event loop runs in a thread of its own.

The idea: of the client library only connect, request and publish are used, one request at a time. It has no ordered
consumer (which loses messages when the application is slow), no appends on their way (one replica stores a second one,
three refuse it), and no reconnecting of its own: a connection that was lost is made anew by the next call.
"""

import asyncio
import concurrent.futures
import json
import logging
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Self, TypeVar

from ezmsg.ledger.extras import needed, require
from ezmsg.ledger.runtime.address import why_not
from ezmsg.ledger.tools.exits import MissingExtra
from ezmsg.ledger.tools.fleet.errors import Disconnected, NoStream, Refused, Unreachable
from ezmsg.ledger.tools.fleet.jetstream.answers import described, message_of, nanoseconds
from ezmsg.ledger.tools.fleet.jetstream.login import client_of, login
from ezmsg.ledger.tools.fleet.jetstream.place import Place
from ezmsg.ledger.tools.fleet.message import HEADERS_MAX, Message, Piece, headers_of

T = TypeVar("T")

ANSWER_S = 5.0
"""How long a request may take. A new leader is there 4 to 15 s after the death of one, and a request is made again."""

CONNECT_S = 3.0

RETRY_S = 0.05
"""The client library tries a server that refuses twice, and waits so long in between."""

BATCH_BYTES = 4 * 1024 * 1024
"""Bytes of messages that are asked for at a time: more of them are not faster, and have to be held."""

BATCH = 1000
"""Messages that are asked for at a time."""

LISTED = 500
"""Ledgers whose last messages are asked for at a time; a server refuses more than 1,024."""

EXTRA, PACKAGE, WHAT = "ezmsg-ledger[fleet]", "nats", "A ledger in a stream"

NO_ROOM = (10023, 10047)
"""JetStream's numbers for a store that is full; its own words do not say of what there is too little."""

NO_MESSAGE, NO_SUCH_STREAM, NO_JETSTREAM = 10037, 10059, 10039


def require_extra() -> None:
    """Raise MissingExtra when the library is not installed. Cost: a look at the disk."""
    require([PACKAGE], EXTRA, WHAT, MissingExtra)


class NatsBroker:
    """A stream of a broker. It is connected to by the first request; ``close`` lets it go."""

    def __init__(self, place: Place) -> None:
        """Raises MissingExtra, NoStream."""
        self.place = place
        self._nats = needed(PACKAGE, EXTRA, WHAT, MissingExtra)
        self._login = login(place)
        self._client: Any = None
        self._looked: Any = None  # the client that brought the last message of the ledger
        self._told: list[str] = []  # what the server said beside its answers
        self._awaited: dict[asyncio.Future[str], str] = {}  # subjects of requests; set when the server denies one
        self._server = 0
        self._ahead: tuple[str, int, Future[list[Message]]] | None = None
        logging.getLogger("asyncio").addFilter(_is_news)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="nats", daemon=True)
        self._thread.start()
        self.closed = False
        self._pid = os.getpid()

    # --- the messages of a ledger ---

    def last(self, ledger: str) -> Message | None:
        """See Broker."""
        message = self._last(self.place.subject(ledger))
        self._looked = self._client
        return message

    def _last(self, subject: str) -> Message | None:
        answer = self._api(f"STREAM.MSG.GET.{self.place.stream}", {"last_by_subj": subject}, none=NO_MESSAGE)
        return None if answer is None else message_of(answer["message"])

    def append(
        self,
        ledger: str,
        piece: Piece,
        fence: int,
        name: str,
        shipper: str,
        meanwhile: Callable[[], object] = lambda: None,
    ) -> int | None:
        """See Broker."""
        headers = headers_of(ledger, piece, fence, name, shipper)
        return self._published(self.place.subject(ledger), piece.data, headers, meanwhile, fenced=True)

    def append_receipt(self, ledger: str, note: bytes, headers: dict[str, str]) -> int | None:
        """Add a receipt of a ledger."""
        return self._published(self.place.receipts(ledger), note, headers)

    def _published(
        self,
        subject: str,
        data: bytes,
        headers: dict[str, str],
        meanwhile: Callable[[], object] = lambda: None,
        *,
        fenced: bool = False,
    ) -> int | None:
        answer = self._answered(self._request(subject, data, headers, meanwhile, fenced=fenced))
        if answer.get("stream") != self.place.stream:
            raise Refused(f"stream {answer.get('stream')} has taken a message for {self.place.stream}", 0)
        return None if answer.get("duplicate") else int(answer["seq"])

    def count(self, ledger: str) -> int:
        """See Broker."""
        return self.counts(self.place.subject(ledger)).get(self.place.subject(ledger), 0)

    def after(self, ledger: str, sequence: int) -> list[Message]:
        """See Broker."""
        return self._after(self.place.subject(ledger), sequence)

    def receipts(self, ledger: str) -> list[Message]:
        """The receipts that are kept for a ledger, in their order."""
        found: list[Message] = []
        while more := self._after(self.place.receipts(ledger), found[-1].sequence if found else 0):
            found += more
        return found

    def _after(self, subject: str, sequence: int) -> list[Message]:
        ahead, self._ahead = self._ahead, None
        found: list[Message] = []
        if ahead is not None and ahead[:2] == (subject, sequence):
            with suppress(Exception):  # asked for again, and told then
                found = ahead[2].result()
        if not found:
            found = self._run(self._many(self._asked(subject, sequence)), ANSWER_S * 2)
        if found and sum(len(message.data) for message in found) > BATCH_BYTES // 2:
            # there is more, most likely: it comes while this is looked at
            last = found[-1].sequence
            asked = asyncio.wait_for(self._many(self._asked(subject, last)), ANSWER_S)
            self._ahead = subject, last, asyncio.run_coroutine_threadsafe(asked, self._loop)
        return found

    @staticmethod
    def _asked(subject: str, sequence: int) -> dict[str, Any]:
        return {"seq": sequence + 1, "batch": BATCH, "max_bytes": BATCH_BYTES, "next_by_subj": subject}

    def first_after(self, ledger: str, sequence: int) -> Message | None:
        """The next message of a ledger after number ``sequence``, alone."""
        asked = {**self._asked(self.place.subject(ledger), sequence), "batch": 1}
        return next(iter(self._run(self._many(asked), ANSWER_S * 2)), None)

    # --- the stream ---

    def info(self, filter: str = "", offset: int = 0) -> dict[str, Any] | None:
        """The broker's answer about the stream; None when there is none. ``filter``: count the messages by subject."""
        asked = {"subjects_filter": filter, "offset": offset} if filter else {}
        return self._api(f"STREAM.INFO.{self.place.stream}", asked, none=NO_SUCH_STREAM)

    def make(self, config: dict[str, Any]) -> None:
        """Make the stream."""
        self._api(f"STREAM.CREATE.{self.place.stream}", config)

    def counts(self, subject: str) -> dict[str, int]:
        """Count the messages of each subject that fits ``subject``, which may have wildcards."""
        found: dict[str, int] = {}
        while True:
            answer = self.info(subject, len(found))
            page = ((answer or {}).get("state") or {}).get("subjects") or {}
            found |= page
            if not page or len(found) >= int((answer or {}).get("total") or 0):
                return found

    def ledgers(self) -> dict[str, Message]:
        """The last message of each ledger in the stream, by id."""
        subjects = sorted(self.counts(self.place.subject("*")))
        found: dict[str, Message] = {}
        for begin in range(0, len(subjects), LISTED):
            some = {"multi_last": subjects[begin : begin + LISTED], "batch": LISTED, "max_bytes": BATCH_BYTES}
            found |= {subject: message for subject, message in self._run(self._each(some), ANSWER_S * 2)}
        for subject in subjects:
            if subject not in found and (message := self._last(subject)) is not None:  # beyond the bytes of a batch
                found[subject] = message
        return {subject.rpartition(".")[2]: found[subject] for subject in subjects if subject in found}

    @property
    def payload_max(self) -> int:
        """Bytes of a payload that the server takes beside the headers of a message. Raises Unreachable."""
        self._run(self._connected(), CONNECT_S * 2)
        return int(self._client.max_payload) - HEADERS_MAX

    @property
    def lost(self) -> bool:
        """Whether the connection that there was has ended, as far as this side was told."""
        return self._client is not None and not self._client.is_connected

    @property
    def monitored(self) -> str:
        """The server's version, as it says at the beginning. Raises Unreachable."""
        self._run(self._connected(), CONNECT_S * 2)
        return str(self._client.connected_server_version)

    def close(self) -> None:
        """Let the connection go; calls that wait for an answer raise Unreachable. Idempotent."""
        if not self.closed and self._pid == os.getpid():
            self.closed = True
            asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(CONNECT_S * 2)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    async def _end(self) -> None:
        asked = asyncio.all_tasks() - {asyncio.current_task()}
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
        await self._forget()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    # --- one request ---

    def _api(self, what: str, asked: dict[str, Any], none: int = 0) -> dict[str, Any] | None:
        data = json.dumps(asked).encode() if asked else b""
        try:
            return self._answered(self._request(f"{self._login.api}.{what}", data, None))
        except Refused as error:
            if none and error.code == none:
                return None
            raise

    def _answered(self, data: bytes) -> dict[str, Any]:
        try:
            answer = json.loads(data)
        except ValueError as error:
            raise Refused(f"{self.place.shown} answers as no JetStream does: {data[:80]!r}", 0) from error
        if "error" in answer:
            code = int(answer["error"].get("err_code", 0))
            text = answer["error"].get("description", "no reason given")
            if code == NO_JETSTREAM or "not enabled" in text:
                raise NoStream(f"{self.place.shown}: the account has no JetStream", hint=_JETSTREAM_HINT)
            why = ": there is no room left on its disk, or within `max_file_store`" if code in NO_ROOM else ""
            raise Refused(f"{self.place.shown} refuses: {text} ({code}){why}", code)
        found: dict[str, Any] = answer
        return found

    def _request(
        self,
        subject: str,
        data: bytes,
        headers: dict[str, str] | None,
        meanwhile: Callable[[], object] = lambda: None,
        *,
        fenced: bool = False,
    ) -> bytes:
        async def asked() -> bytes:
            if fenced and (self._client is not self._looked or not self._is_connected):
                raise Disconnected(f"the connection to {self.place.shown} was lost")
            client = await self._connected()
            request = client.request(subject, data, timeout=ANSWER_S, headers=headers)
            return bytes((await self._unless_denied(subject, request)).data)

        return self._run(asked(), CONNECT_S * 2 + ANSWER_S, meanwhile)

    async def _unless_denied(self, subject: str, answer: Coroutine[Any, Any, Any]) -> Any:
        """The answer to what was sent to ``subject``. Raises NoStream as soon as the server says that we may not.

        It says so beside the answers, and then none comes.
        """
        waited = asyncio.ensure_future(answer)
        denied: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._awaited[denied] = subject
        try:
            await asyncio.wait({waited, denied}, return_when=asyncio.FIRST_COMPLETED)
            if not waited.done() and denied.done():
                raise NoStream(f"{self.place.shown}: {denied.result()}", hint=_RIGHTS_HINT)
            return await waited
        finally:
            waited.cancel()
            del self._awaited[denied]

    async def _many(self, asked: dict[str, Any]) -> list[Message]:
        return [message for _, message in await self._each(asked)]

    async def _each(self, asked: dict[str, Any]) -> list[tuple[str, Message]]:
        """The messages that one request brings, with their subjects: they come one by one, and then the end."""
        client = await self._connected()
        inbox = client.new_inbox()
        subscription = await client.subscribe(inbox)
        try:
            subject = f"{self._login.api}.DIRECT.GET.{self.place.stream}"
            await client.publish(subject, json.dumps(asked).encode(), reply=inbox)
            found: list[tuple[str, Message]] = []
            while True:
                answer = await self._unless_denied(subject, subscription.next_msg(timeout=ANSWER_S))
                headers = {str(key): str(value) for key, value in (answer.headers or {}).items()}
                status = headers.get("Status", "")
                if status in ("204", "404"):  # the end of the batch; no such message
                    return found
                if status == "503":
                    raise self._nats.errors.NoRespondersError
                if not headers.get("Nats-Sequence"):
                    raise Refused(f"{self.place.shown} refuses: {status} {described(answer.headers)}", 0)
                time = nanoseconds(headers.get("Nats-Time-Stamp", ""))
                message = Message(int(headers["Nats-Sequence"]), headers, bytes(answer.data), time)
                found.append((headers.get("Nats-Subject", ""), message))
        finally:
            await subscription.unsubscribe()

    def _run(self, asked: Coroutine[Any, Any, T], seconds: float, meanwhile: Callable[[], object] = lambda: None) -> T:
        """The result of ``asked``, and what the library raises as errors of ours."""
        errors = self._nats.errors
        if self.closed or self._pid != os.getpid():  # a forked child has no thread that would answer
            asked.close()
            raise Unreachable(f"the connection to {self.place.shown} was closed")
        try:
            waited = asyncio.run_coroutine_threadsafe(asyncio.wait_for(asked, seconds), self._loop)
            meanwhile()
            return waited.result(seconds + CONNECT_S)
        except concurrent.futures.CancelledError as error:
            raise Unreachable(f"the connection to {self.place.shown} was closed") from error
        except errors.NoRespondersError as error:
            raise Unreachable(
                f"{self.place.shown}: nobody answers for stream {self.place.stream}: it is not there, has no leader at "
                "the moment, or the server has no JetStream"
            ) from error
        except (errors.TimeoutError, TimeoutError) as error:
            raise Unreachable(f"{self.place.shown} did not answer in {seconds:.0f} s") from error
        except (errors.Error, OSError, asyncio.CancelledError) as error:
            asyncio.run_coroutine_threadsafe(self._forget(), self._loop).result(CONNECT_S)
            raise self._explained(error) from error

    def _explained(self, error: BaseException) -> Exception:
        said = why_not(error).removeprefix("nats: ").strip("'\" ") or type(error).__name__
        if "uthorization" in said or "uthentication" in said:
            return NoStream(f"{self.place.shown} does not let us in: {said}", hint=_LOGIN_HINT)
        if self._login.secure and (
            said == "Connection lost"
            or "certificate required" in said
            or isinstance(error, BrokenPipeError | ConnectionResetError)
        ):  # which of these comes first is a race between the server's refusal and what we send meanwhile
            said = (
                "it closed the connection, perhaps because it asks for a certificate of ours (`cert` and `key` in a "
                "context: NATS_CONTEXT=NAME)"
            )
        elif "CERTIFICATE_VERIFY_FAILED" in said or "certificate" in said:
            why = said.partition("failed: ")[2].partition(" (_ssl")[0] or said
            return NoStream(f"{self.place.shown} cannot be trusted: {why}", hint=_TRUST_HINT)
        return Unreachable(f"{self.place.shown} cannot be reached: {said}")

    @property
    def _is_connected(self) -> bool:
        return self._client is not None and self._client.is_connected

    async def _connected(self) -> Any:
        if self._is_connected:
            return self._client
        await self._forget()
        last: BaseException | None = None
        servers = self._login.servers
        for _ in servers:
            server = servers[self._server % len(servers)]
            try:
                self._client = await asyncio.wait_for(self._connect(server), CONNECT_S)
                return self._client
            except (TimeoutError, self._nats.errors.Error, OSError) as error:
                last = error
                self._server += 1
        assert last is not None
        if isinstance(last, TimeoutError | asyncio.TimeoutError):
            raise OSError(f"no answer in {CONNECT_S:.0f} s") from last
        raise last

    async def _connect(self, server: str) -> Any:
        async def told(error: Exception) -> None:
            text = why_not(error).removeprefix("nats: ")
            self._told = [*self._told[-9:], text]
            if "ermissions" in text:
                for denied, subject in self._awaited.items():  # of a subscription: no answer can come to any request
                    if not denied.done() and (f'"{subject}"'.lower() in text.lower() or "ubscription" in text):
                        denied.set_result(text)

        client = client_of(self._nats, self._login)
        try:
            await client.connect(
                server,
                name="ezmsg-ledger",
                allow_reconnect=False,
                max_reconnect_attempts=1,  # with 0 or fewer it tries a server that refuses for ever
                reconnect_time_wait=RETRY_S,
                connect_timeout=CONNECT_S,
                error_cb=told,
                **self._login.options,
            )
        except self._nats.errors.NoServersError as error:
            raise OSError(self._told[-1] if self._told else str(error)) from error
        except NoStream:
            await client.close()
            raise
        return client

    async def _forget(self) -> None:
        client, self._client = self._client, None
        if client is not None and not client.is_closed:
            try:
                await asyncio.wait_for(client.close(), CONNECT_S)
            except (TimeoutError, self._nats.errors.Error, OSError):
                return  # it is of no use any more, and is not used


_LOGIN_HINT = (
    "Name a user in the address, nats://USER:PASSWORD@HOST:PORT, or a context with credentials: NATS_CONTEXT=NAME."
)
_TRUST_HINT = (
    "Name the certificate of the authority that signed the server's in a context, as `ca`: NATS_CONTEXT=NAME. The "
    "server's certificate must be of the host that the address names."
)
_RIGHTS_HINT = "Ask for the rights that docs/FLEET.md lists: to publish to the stream's subjects, and to ask about it."
_JETSTREAM_HINT = "Start the server with `jetstream { store_dir: ..., sync_interval: always }`: see docs/FLEET.md."


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a warning of the event loop is one: it says at each end of an encrypted connection that it ends."""
    return "eof_received" not in record.msg
