"""Requests of sessions to the process that runs a unit: sent on, waited for, answered once."""

import asyncio
import logging
from time import monotonic_ns
from uuid import UUID, uuid1

import msgspec
from ezmsg.core.graphmeta import ProcessControlErrorCode, ProcessControlRequest, ProcessControlResponse

from ezmsg.ledger.runtime.live import LiveGraph
from ezmsg.ledger.runtime.server.pickles import dumps
from ezmsg.ledger.runtime.server.wire.connection import Connection
from ezmsg.ledger.runtime.server.wire.protocol import Command, encode_blob

logger = logging.getLogger("ezmsg.ledger")

TIMEOUT_MAX_S = 3600.0
"""Longest wait for an answer, whatever the client asks for."""

WAITING_MAX = 256 * 2**20
"""Bytes of payloads that all sessions together may have waiting for an answer: each is kept until it has come."""


class _Pending(msgspec.Struct, eq=False):
    """A request that was sent on to ``process`` (a UUID) and is not answered yet. ``started``: ns, monotonic."""

    request: int
    process: str
    size: int
    future: "asyncio.Future[ProcessControlResponse]"
    started: int = msgspec.field(default_factory=monotonic_ns)


class Requests:
    """The connections of backend processes, by UUID, and the requests that they owe an answer."""

    def __init__(self, live: LiveGraph) -> None:
        self._live = live
        self.processes: dict[str, Connection] = {}
        self._pending: dict[str, _Pending] = {}
        self._waiting = 0

    async def ask(
        self, session: int, unit: str, operation: str, timeout: float, payload: bytes | None
    ) -> ProcessControlResponse:
        """Send a request to the process that runs ``unit``; returns its answer, or why there is none.

        ``timeout``: seconds. Never raises for what the process does or fails to do.
        """
        uuid = str(uuid1())
        request, process = self._live.route_request(session, uuid, unit, operation, payload)
        connection = None if process is None else self.processes.get(process)
        if process is None or connection is None:
            return _failure(uuid, f"No process owns unit '{unit}'", ProcessControlErrorCode.UNROUTABLE_UNIT)
        pending = _Pending(request, process, len(payload or b""), asyncio.get_running_loop().create_future())
        self._pending[uuid] = pending
        self._waiting += pending.size
        try:
            self._send(ProcessControlRequest(uuid, unit, operation, payload), connection)
            async with asyncio.timeout(min(timeout, TIMEOUT_MAX_S)):
                response = await pending.future
        except ConnectionError as error:
            response = _failure(
                uuid,
                f"The request could not be written to the process that owns the unit: {error}",
                ProcessControlErrorCode.ROUTE_WRITE_FAILED,
                process,
            )
        except TimeoutError:
            response = _failure(
                uuid,
                f"Timed out waiting for process response (unit={unit}, operation={operation}, timeout={timeout}s)",
                ProcessControlErrorCode.TIMEOUT,
                process,
            )
        finally:
            del self._pending[uuid]
            self._waiting -= pending.size
        code = None if response.error_code is None else response.error_code.value
        took = monotonic_ns() - pending.started
        self._live.answer_request(request, bool(response.ok), code, took, response.error, response.payload)
        return response

    def _send(self, request: ProcessControlRequest, connection: Connection) -> None:
        if self._waiting > WAITING_MAX:
            raise ConnectionRefusedError(
                f"{self._waiting} bytes of requests wait for an answer, where {WAITING_MAX} are allowed"
            )
        connection.write(Command.PROCESS_ROUTE_REQUEST + encode_blob(dumps(request)))

    def answer(self, process: str, response: ProcessControlResponse) -> bool:
        """A process answered; False when it was not asked: then nothing changes, the one that was may still answer."""
        pending = self._pending.get(response.request_id)
        if pending is None or pending.process != process:
            return False
        self._complete(pending, response)
        return True

    def _complete(self, pending: _Pending, response: ProcessControlResponse) -> None:
        if not pending.future.done():
            pending.future.set_result(response)

    def gone(self, process: str) -> None:
        """A process ended: what it owed is answered for it."""
        self.processes.pop(process, None)
        for uuid, pending in list(self._pending.items()):
            if pending.process == process:
                error = "Owning process disconnected before response"
                self._complete(
                    pending, _failure(uuid, error, ProcessControlErrorCode.PROCESS_DISCONNECTED, process)
                )


def _failure(
    uuid: str, error: str, code: ProcessControlErrorCode, process: str | None = None
) -> ProcessControlResponse:
    return ProcessControlResponse(
        request_id=uuid,
        ok=False,
        error=error,
        error_code=code,
        process_id=None if process is None else UUID(process),
    )
