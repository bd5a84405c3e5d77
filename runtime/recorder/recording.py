"""``record``: put a recorder around an existing ``ez.run(...)`` without changing it."""

import multiprocessing
import os
import sys
from typing import Any

from ezmsg.core import channelmanager, netprotocol

from ezmsg.ledger.runtime.address import ADDRESS_ENV
from ezmsg.ledger.runtime.recorder.process import Recorder

_READ_AT_IMPORT: tuple[Any, ...] = (netprotocol, channelmanager)


class record:
    """A recorder around every ezmsg program that runs inside the ``with`` (or ``async with``), and its child processes.

        >>> from ezmsg.ledger import Ledger
        >>> with record("session.ledger") as recorder:
        ...     pass  # ez.run(SYSTEM=MySystem())
        >>> Ledger.open("session.ledger", "r").head
        4

    A graph server in a process of its own takes the place of ezmsg's. ``address``: ``host:port`` to listen on, a free
    loopback port when not given. Raises RecorderFailed when the ledger cannot be written or the address not be bound.
    Programs that name a ``graph_address`` of their own are not recorded. ``min_free``: bytes of the disk; when
    fewer are free the recorder warns (None: 1 GB, or a twentieth of a smaller disk).
    """

    def __init__(
        self,
        ledger: str | os.PathLike[str],
        *,
        address: str | None = None,
        durability: str = "interval",
        min_free: int | None = None,
    ) -> None:
        self._recorder = Recorder(ledger, address, durability, min_free=min_free)
        self._before: tuple[str | None, list[str]] = None, []

    def __enter__(self) -> Recorder:
        self._recorder.start()
        self._before = os.environ.get(ADDRESS_ENV), [module.GRAPHSERVER_ADDR for module in _READ_AT_IMPORT]
        # ezmsg reads the variable once, at import, into two modules: children inherit the one, this process the others.
        os.environ[ADDRESS_ENV] = self._recorder.address
        for module in _READ_AT_IMPORT:
            module.GRAPHSERVER_ADDR = self._recorder.address
        _renew_forkserver()
        return self._recorder

    def __exit__(self, *raised: object) -> None:
        variable, addresses = self._before
        for module, address in zip(_READ_AT_IMPORT, addresses, strict=True):
            module.GRAPHSERVER_ADDR = address
        if variable is None:
            os.environ.pop(ADDRESS_ENV, None)
        else:
            os.environ[ADDRESS_ENV] = variable
        _renew_forkserver()
        self._recorder.stop()

    async def __aenter__(self) -> Recorder:
        return self.__enter__()

    async def __aexit__(self, *raised: object) -> None:
        self.__exit__(*raised)


def _renew_forkserver() -> None:
    """Let the next process of the start method ``forkserver`` have the environment of now.

    Python keeps one server that forks, with the environment that it was started in: a second recording would send its
    processes to the first one's address, where they hang. It is started again on demand. One that has children at work
    stays: they would be orphans, whose exit codes are lost.
    """
    module: Any = sys.modules.get("multiprocessing.forkserver")
    if module is not None and not multiprocessing.active_children():
        module._forkserver._stop()
