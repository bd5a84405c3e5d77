"""A session of this process: what an ezmsg client does over a socket, without one."""

from typing import TYPE_CHECKING

from ezmsg.ledger.errors import LedgerClosed
from ezmsg.ledger.metadata import Edge, GraphMetadata, GraphSnapshot
from ezmsg.ledger.values import freeze

if TYPE_CHECKING:
    from ezmsg.ledger.runtime.live import LiveGraph


class Session:
    """A session of a live graph owns the edges and components that it connects and registers, until it closes.

        >>> from ezmsg.ledger import Ledger
        >>> from ezmsg.ledger.runtime import LiveGraph
        >>> live = LiveGraph(Ledger.memory())
        >>> with live.session("demo") as session:
        ...     session.connect("SOURCE", "SINK")
        ...     session.edges
        True
        [Edge(from_topic='SOURCE', to_topic='SINK')]

    As a context manager it clears and closes at the end, as ezmsg's contexts do; after an exception it closes with
    reason ``error``. Made by ``LiveGraph.session``.
    """

    def __init__(self, live: "LiveGraph", session: int) -> None:
        self._live = live
        self.id = session
        self.uuid = live.state.sessions[session].uuid
        self._open = True

    def connect(self, from_topic: str, to_topic: str) -> bool:
        """Own the edge; returns whether it is new to the graph. Raises CycleError when it would close a cycle."""
        return bool(self._graph().connect(from_topic, to_topic, self.id))

    def disconnect(self, from_topic: str, to_topic: str) -> bool:
        """Give the edge up; returns whether it vanished from the graph."""
        return bool(self._graph().disconnect(from_topic, to_topic, self.id))

    def register(self, metadata: GraphMetadata) -> None:
        """Register components and their initial settings, in place of what this session registered before.

        Raises AddressCollision when another session holds one of the addresses.
        """
        self._graph().register(self.id, freeze(metadata))

    def clear(self) -> None:
        """Give up everything at once."""
        self._graph().clear(self.id)

    def snapshot(self) -> GraphSnapshot:
        """The whole graph as it stands. Cost: O(state log state)."""
        return self._graph().state.snapshot()

    @property
    def edges(self) -> list[Edge]:
        """The edges that this session holds, sorted."""
        return [Edge(*edge) for edge in self._graph().state.ownership.held(self.id)]

    def close(self, reason: str | None = None, detail: str | None = None) -> None:
        """End the session and all it owns. Idempotent."""
        if self._open and self.id in self._live.state.sessions:
            self._live.close_session(self.id, reason, detail)
        self._open = False

    def _graph(self) -> "LiveGraph":
        if not self._open or self.id not in self._live.state.sessions:
            raise LedgerClosed(f"session {self.uuid} has ended", hint="Open another one with LiveGraph.session().")
        return self._live

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if not self._open:
            return
        if error is not None:
            self.close("error", repr(error)[:500].encode("utf-8", "backslashreplace").decode())
            return
        if self.id in self._live.state.sessions:
            self._live.clear(self.id)
        self.close()
