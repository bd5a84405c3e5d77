"""Clients that speak the protocol by hand over plain sockets, with nothing of the server's own reading or writing."""

import pickle
import socket
import struct
from collections.abc import Sequence
from typing import Any, ClassVar, Self
from uuid import UUID

from ezmsg.core.graphmeta import (
    ComponentMetadata,
    DynamicSettingsMetadata,
    GraphMetadata,
    GraphSnapshot,
    ProcessControlRequest,
    ProcessControlResponse,
    ProcessOwnershipUpdate,
    ProcessRegistration,
    ProcessSettingsUpdate,
    SettingsChangedEvent,
    SettingsSnapshotValue,
)
from ezmsg.core.netprotocol import Command

TIMEOUT_S = 5.0
"""How long a test waits for bytes that ought to come at once."""

COMPLETE, CYCLIC, ERROR = Command.COMPLETE.value, Command.CYCLIC.value, Command.ERROR.value


def u64(number: int) -> bytes:
    return struct.pack("<Q", number)


def blob(data: bytes) -> bytes:
    return u64(len(data)) + data


def text(value: str) -> bytes:
    return blob(value.encode("utf-8"))


def pickled(value: object) -> bytes:
    return blob(pickle.dumps(value))


class Raw:
    """One connection: the version is read, the opener is sent, and then bytes are read and written as told.

    ``source``: the address that it comes from. The fixture that examines servers closes all that are still open after a
    test.
    """

    opened: ClassVar[list["Raw"]] = []
    receive_buffer: ClassVar[int | None] = None
    """Bytes that the system takes off the server's hands before a test reads; None: as many as it likes."""

    def __init__(
        self, address: Sequence[Any], opener: Command | bytes = b"", *parts: bytes, source: str | None = None
    ) -> None:
        self.socket = socket.socket()
        if source is not None:
            self.socket.bind((source, 0))
        Raw.opened.append(self)
        if self.receive_buffer is not None:  # before it connects, or the system offers more
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.receive_buffer)
        self.socket.settimeout(TIMEOUT_S)
        self.socket.connect((address[0], address[1]))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.peer = "{}:{}".format(*self.socket.getsockname())
        self.version = self.text()
        self.send(opener, *parts)

    def send(self, *parts: Command | bytes) -> None:
        data = b"".join(part.value if isinstance(part, Command) else part for part in parts)
        if data:
            self.socket.sendall(data)

    def read(self, size: int) -> bytes:
        """Exactly ``size`` bytes; EOFError when the server closes before."""
        data = bytearray()
        while len(data) < size:
            try:
                part = self.socket.recv(size - len(data))
            except ConnectionError as error:
                raise EOFError("the server reset the connection") from error
            if not part:
                raise EOFError(f"the server closed after {len(data)} of {size} bytes")
            data += part
        return bytes(data)

    def byte(self) -> bytes:
        return self.read(1)

    def u64(self) -> int:
        return int.from_bytes(self.read(8), "little")

    def blob(self) -> bytes:
        return self.read(self.u64())

    def text(self) -> str:
        return self.blob().decode("utf-8")

    def pickle(self) -> Any:
        return pickle.loads(self.blob())

    def reply(self) -> Any:
        """A pickled reply and the COMPLETE behind it."""
        value = self.pickle()
        assert self.byte() == COMPLETE
        return value

    def expect_eof(self) -> None:
        """The server closes, and says nothing more."""
        try:
            data = self.socket.recv(64)
        except ConnectionResetError:
            data = b""
        assert data == b"", f"expected the end of the stream, got {data!r}"

    def is_silent(self, seconds: float = 0.05) -> bool:
        """Whether nothing comes within ``seconds``: for what must not be sent."""
        self.socket.settimeout(seconds)
        try:
            self.socket.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            return True
        else:
            return False
        finally:
            self.socket.settimeout(TIMEOUT_S)

    def end(self) -> None:
        """Leave in good order, and return when the server has taken note: it closes last."""
        self.socket.shutdown(socket.SHUT_WR)
        while self.socket.recv(65536):
            pass
        self.close()

    def reset(self) -> None:
        """Leave as a killed process may: with a reset in place of an end."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class RawSession(Raw):
    def __init__(self, address: Sequence[Any]) -> None:
        super().__init__(address, Command.SESSION)
        self.uuid = self.text()
        assert self.byte() == COMPLETE

    def ask(self, command: Command, *parts: bytes) -> bytes:
        """A command that is answered by one byte."""
        self.send(command, *parts)
        return self.byte()

    def connect(self, from_topic: str, to_topic: str) -> bytes:
        return self.ask(Command.SESSION_CONNECT, text(from_topic), text(to_topic))

    def disconnect(self, from_topic: str, to_topic: str) -> bytes:
        return self.ask(Command.SESSION_DISCONNECT, text(from_topic), text(to_topic))

    def clear(self) -> bytes:
        return self.ask(Command.SESSION_CLEAR)

    def register(self, metadata: object) -> bytes:
        return self.ask(Command.SESSION_REGISTER, pickled(metadata))

    def snapshot(self) -> GraphSnapshot:
        self.send(Command.SESSION_SNAPSHOT)
        snapshot = self.reply()
        assert isinstance(snapshot, GraphSnapshot)
        return snapshot

    def settings(self) -> dict[str, SettingsSnapshotValue]:
        self.send(Command.SESSION_SETTINGS_SNAPSHOT)
        settings = self.reply()
        assert isinstance(settings, dict)
        return settings

    def settings_events(self, after: int | str = 0) -> list[SettingsChangedEvent]:
        self.send(Command.SESSION_SETTINGS_EVENTS, text(str(after)))
        events = self.reply()
        assert isinstance(events, list)
        return events

    def send_request(self, unit: str, operation: str, timeout: float | str = 5.0, payload: bytes = b"") -> None:
        self.send(Command.SESSION_PROCESS_REQUEST, text(unit), text(operation), text(str(timeout)), blob(payload))

    def response(self) -> ProcessControlResponse:
        response = self.reply()
        assert isinstance(response, ProcessControlResponse)
        return response

    def request(self, unit: str, operation: str, timeout: float = 5.0, payload: bytes = b"") -> ProcessControlResponse:
        self.send_request(unit, operation, timeout, payload)
        return self.response()


class RawProcess(Raw):
    def __init__(self, address: Sequence[Any]) -> None:
        super().__init__(address, Command.PROCESS)
        self.uuid = UUID(self.text())
        assert self.byte() == COMPLETE

    def ask(self, command: Command, payload: object) -> bytes:
        self.send(command, pickled(payload))
        return self.byte()

    def register(self, *units: str, pid: int = 4711, host: str = "host") -> bytes:
        return self.ask(Command.PROCESS_REGISTER, ProcessRegistration(pid, host, list(units)))

    def own(self, added: Sequence[str] = (), removed: Sequence[str] = ()) -> bytes:
        return self.ask(Command.PROCESS_UPDATE_OWNERSHIP, ProcessOwnershipUpdate(list(added), list(removed)))

    def report(self, component: str, value: object, timestamp: float = 1.5) -> bytes:
        update = ProcessSettingsUpdate(component, settings(value), timestamp)
        return self.ask(Command.PROCESS_SETTINGS_UPDATE, update)

    def next_request(self) -> ProcessControlRequest:
        assert self.byte() == Command.PROCESS_ROUTE_REQUEST.value
        request = self.pickle()
        assert isinstance(request, ProcessControlRequest)
        return request

    def answer(self, request_id: str, payload: bytes | None = None, ok: bool = True, **fields: Any) -> None:
        response = ProcessControlResponse(request_id, ok, payload, process_id=self.uuid, **fields)
        self.send(Command.PROCESS_ROUTE_RESPONSE, pickled(response))


class RawSubscriber(Raw):
    """``acknowledge`` False: the updates that come before the creation's end are left to the test."""

    def __init__(
        self, address: Sequence[Any], topic: str, acknowledge: bool = True, source: str | None = None
    ) -> None:
        super().__init__(address, Command.SUBSCRIBE, text(topic), source=source)
        self.uuid = self.text()
        self.first: list[str] = []
        if acknowledge:
            self.first = self.update()
            assert self.byte() == COMPLETE

    def update(self, acknowledge: bool = True) -> list[str]:
        """The publishers of the next UPDATE."""
        assert self.byte() == Command.UPDATE.value
        uuids = self.text()
        if acknowledge:
            self.acknowledge()
        return uuids.split(",") if uuids else []

    def acknowledge(self) -> None:
        self.send(COMPLETE)


class RawPublisher(Raw):
    """``port`` None: the address is withheld."""

    def __init__(self, address: Sequence[Any], topic: str, port: int | None = 40000, wait: bool = True) -> None:
        super().__init__(address, Command.PUBLISH, text(topic))
        self.uuid = self.text()
        if port is not None:
            self.send(text(f"127.0.0.1:{port}"))
            if wait:
                assert self.byte() == COMPLETE


def settings(value: object, serialized: bytes | None = None) -> SettingsSnapshotValue:
    structured = value if isinstance(value, dict) else None
    return SettingsSnapshotValue(serialized, value, structured)  # type: ignore[arg-type]


def component(address: str, initial: object = None, serialized: bytes | None = None) -> ComponentMetadata:
    return ComponentMetadata(
        address=address,
        name=address.rpartition("/")[2],
        component_type="tests.Unit",
        settings_type="tests.Settings",
        initial_settings=(serialized, {"gain": 1.0} if initial is None else initial),  # type: ignore[arg-type]
        dynamic_settings=DynamicSettingsMetadata(enabled=False, input_topic=None, settings_type=None),
        settings_schema=None,
    )


def metadata(*addresses: str, root: str | None = "SYS", **initial: object) -> GraphMetadata:
    """A GraphMetadata with these components; ``initial`` gives settings by the last part of an address."""
    components = {address: component(address, initial.get(address.rpartition("/")[2])) for address in addresses}
    return GraphMetadata(schema_version=1, root_name=root, components=components)
