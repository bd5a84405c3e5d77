"""A session of the server's own, without a connection: it holds edges that nobody else holds, until it is evicted."""

import asyncio

from ezmsg.ledger.runtime.restored import LABEL
from ezmsg.ledger.runtime.server.hub import Hub


class OwnSession:
    """An open session of the live graph that a person can end with ``evict``, as any other one."""

    def __init__(self, hub: Hub, session: int) -> None:
        self.session = session
        self._hub = hub
        self._uuid = hub.live.state.sessions[session].uuid
        self._telling: asyncio.Task[None] | None = None
        hub.members[self._uuid] = self

    def evict(self, detail: str) -> None:
        """End it now; ``detail`` is recorded. Those downstream of its edges are told."""
        bereaved = self._hub.live.close_session(self.session, detail=detail)
        del self._hub.members[self._uuid]
        self._telling = asyncio.ensure_future(self._hub.notices.notify(bereaved))


def own_session(hub: Hub) -> int:
    """The session of the server's own that is there, else a new one; its id."""
    for member in hub.members.values():
        if isinstance(member, OwnSession):
            return member.session
    return OwnSession(hub, hub.live.open_session(label=LABEL)).session
