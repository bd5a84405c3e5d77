"""``record``: put a recorder around an existing ``ez.run(...)`` without changing it."""

import os
from types import TracebackType

from ezmsg.core import channelmanager, netprotocol

from ezmsg.ledger.runtime.recorder import Recorder

ADDRESS_ENV = netprotocol.GRAPHSERVER_ADDR_ENV


class record:  # noqa: N801 - it reads as a verb: with record("x.ledger"): ...
    """Record every ezmsg program that runs inside the ``with`` (or ``async with``), its child processes too.

        with record("session.ledger"):
            ez.run(SYSTEM=MySystem())

    A graph server in a process of its own takes the place of ezmsg's. ``address``: ``host:port`` to listen on, a free
    loopback port when not given. Raises RecorderFailed when the ledger cannot be written or the address not be bound.
    Programs that name a ``graph_address`` of their own are not recorded.
    """

    def __init__(
        self, ledger: str | os.PathLike[str], *, address: str | None = None, durability: str = "interval"
    ) -> None:
        self._recorder = Recorder(ledger, address, durability)
        self._before: tuple[str | None, str, str] | None = None

    def __enter__(self) -> Recorder:
        self._recorder.start()
        self._before = (os.environ.get(ADDRESS_ENV), netprotocol.GRAPHSERVER_ADDR, channelmanager.GRAPHSERVER_ADDR)
        # ezmsg reads the variable once, at import, into two modules: children inherit the one, this process the others.
        os.environ[ADDRESS_ENV] = self._recorder.address
        netprotocol.GRAPHSERVER_ADDR = self._recorder.address
        channelmanager.GRAPHSERVER_ADDR = self._recorder.address
        return self._recorder

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._before is not None
        variable, netprotocol.GRAPHSERVER_ADDR, channelmanager.GRAPHSERVER_ADDR = self._before
        if variable is None:
            os.environ.pop(ADDRESS_ENV, None)
        else:
            os.environ[ADDRESS_ENV] = variable
        self._recorder.stop()

    async def __aenter__(self) -> Recorder:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)
