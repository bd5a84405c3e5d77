"""Admission: which hosts are let in, with how many connections, and how much of what all share they may take."""

import ipaddress
import logging
from collections import Counter
from collections.abc import Iterable

import msgspec

from ezmsg.ledger.errors import LedgerError
from ezmsg.ledger.runtime.address import is_loopback

try:
    import resource
except ImportError:  # Windows: sockets are no file descriptors there, and have no limit of that kind
    resource = None  # type: ignore[assignment]

logger = logging.getLogger("ezmsg.ledger")

DESCRIPTORS_KEPT = 64
"""File descriptors that connections may not take: the ledger's, its readers', the metrics', and those of whatever
program the server is a part of."""

CONNECTIONS_MIN = 32
"""Connections that are let in however low the limit of file descriptors is: without them no pipeline runs at all."""


class Limits(msgspec.Struct, frozen=True):
    """Limits on what clients take. Programs of this machine are bound by the totals alone: they can fill it anyhow.

    ``connections``: a unit with two publishers and two subscribers takes about ten (one per publisher, subscriber,
    channel and memory lease), so a system of 1,500 units fits. An idle one costs the server about 8 KiB.
    ``connections_per_host``: of another machine: 400 such units, and a quarter of the room at most.
    ``pending_bytes``: received without an end, or sent and not taken, of all connections together: room for 64 of the
    largest arguments at once, and no harm to a machine that records.
    ``segments``, ``segment_bytes``: of shared memory. One per publisher, 2 MiB with ezmsg's defaults; pages that nobody
    writes to cost nothing, so the bytes are a bound on madness: 16 of the largest segments.
    ``segments_per_host``, ``segment_bytes_per_host``: of another machine, which cannot even use them: as many as its
    connections have publishers, and the bytes of one of the largest.
    ``silent_s``: for how long a client's machine may give no sign of life before the client counts as vanished.
    """

    connections: int = 16384
    connections_per_host: int = 4096
    pending_bytes: int = 2**30
    segments: int = 8192
    segment_bytes: int = 2**40
    segments_per_host: int = 1024
    segment_bytes_per_host: int = 2**36
    silent_s: float = 30.0


class NoNetwork(LedgerError):
    """A text does not name the hosts that may connect."""


def parse_network(text: str) -> ipaddress.IPv4Network:
    """The network of ``10.1.2.0/24``, or that of one address. Raises NoNetwork."""
    example = "Such as 192.168.1.0/24, or the address of one host."
    try:
        interface = ipaddress.ip_interface(text.strip())
    except ValueError as error:
        raise NoNetwork(f"{text!r} is neither a network nor an address", hint=example) from error
    if not isinstance(interface, ipaddress.IPv4Interface):
        raise NoNetwork(f"{text!r} is IPv6, for which ezmsg's addresses have no room", hint=example)
    if interface.ip != interface.network.network_address:
        raise NoNetwork(
            f"{text!r} is an address within a network: which of both is meant?",
            hint=f"The network is {interface.network}, the host {interface.ip}.",
        )
    return interface.network


class TurnedAway(Exception):
    """A connection is not let in. ``reason``: host_not_allowed, too_many_connections or too_many_from_host."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Place:
    """The place that one connection takes until it leaves."""

    def __init__(self, admission: "Admission", host: str) -> None:
        self._admission: Admission | None = admission
        self._host = host

    def leave(self) -> None:
        """Make room for another. Idempotent."""
        admission, self._admission = self._admission, None
        if admission is not None:
            admission._left(self._host)


class Admission:
    """Counts connections, and lets in those for which there is room.

    ``networks``: the hosts that may connect beside this machine itself; none means all. ``turned_away``: how many were
    not let in, by reason.
    """

    def __init__(self, limits: Limits, networks: Iterable[ipaddress.IPv4Network] = ()) -> None:
        self.limits = limits
        self.turned_away: Counter[str] = Counter()
        self._networks = tuple(networks)
        self._hosts: Counter[str] = Counter()
        self._own: set[str] = set()

    def __len__(self) -> int:
        return self._hosts.total()

    @property
    def room(self) -> int:
        """The number of connections that there may be: the limit, or fewer if the process may open fewer files."""
        if resource is None:
            return self.limits.connections
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if soft == resource.RLIM_INFINITY:
            return self.limits.connections
        return min(self.limits.connections, max(CONNECTIONS_MIN, soft - DESCRIPTORS_KEPT))

    def is_local(self, host: str) -> bool:
        """Whether a peer is on this machine: it came through the loopback interface, or from the server's address."""
        return host in self._own or is_loopback(host)

    def admit(self, host: str, own: str) -> Place:
        """A place for a connection from ``host`` that came to the address ``own`` of this machine.

        Raises TurnedAway.
        """
        if host == own:
            self._own.add(own)
        reason = self._objection(host)
        if reason is not None:
            self.turned_away[reason] += 1
            raise TurnedAway(reason)
        self._hosts[host] += 1
        return Place(self, host)

    def _objection(self, host: str) -> str | None:
        local = self.is_local(host)
        if self._networks and not local:
            address = ipaddress.ip_address(host)
            if not any(address in network for network in self._networks):
                return "host_not_allowed"
        if len(self) >= self.room:
            return "too_many_connections"
        if not local and self._hosts[host] >= self.limits.connections_per_host:
            return "too_many_from_host"
        return None

    def _left(self, host: str) -> None:
        self._hosts[host] -= 1
        if not self._hosts[host]:
            del self._hosts[host]


def raise_descriptor_limit() -> None:
    """Let this process open as many files as the system allows: often 1,024 at first, far fewer than it could have.

    For a server that is a process of its own. Where the system refuses, the limit stays as it is.
    """
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = Limits().connections * 2 + DESCRIPTORS_KEPT
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (ValueError, OSError) as error:  # macOS has a second limit beside the first
        logger.debug("the limit of file descriptors stays at %d: %s", soft, error)
