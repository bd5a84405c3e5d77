"""The marker stream of a recording: a process that follows a ledger and sends each event to LabStreamingLayer.

The idea: a marker is stamped with the time at which its event was recorded, not with that at which it is sent, on the
clock of LSL; so it may be sent late, and again. LSL keeps nothing for those who come later: to each new consumer all is
sent from the start of the run on, and each marker has its seq, by which those who have it already know it again.

A marker is one JSON text: ``seq``, ``type``, ``text`` (a sentence), and of settings ``component`` and ``settings`` as
they are shown. No pickle is in it. Started by ``run`` and ``serve`` with ``--lsl``.
"""

import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from ezmsg.ledger import events as ev
from ezmsg.ledger.errors import LedgerError
from ezmsg.ledger.events import type_of
from ezmsg.ledger.lock.followed import set_at_end
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.graph.replay import beginning
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.reader import LedgerReader
from ezmsg.ledger.tools.exits import MissingExtra
from ezmsg.ledger.tools.lsl.library import ahead_of_monotonic, pylsl
from ezmsg.ledger.tools.text.event_words import deed

POLL_S = 0.05
"""How often the stream looks for new events, and for new consumers."""

SETTLE_S = 1.0
"""Time between a consumer's connection and what is sent to it: LSL drops what comes before the two have agreed."""

KEPT_MAX = 200_000
"""Markers that are kept to be sent again, the last ones: some 60 MB."""

AT_END_S = 0.5
"""Time that the last markers have to be on their way, when the recording is over."""

LEFT_OUT = (ev.ClockRead, ev.ChannelOpened, ev.RequestRouted, ev.RequestAnswered)
"""Events that are of no interest beside samples."""

_encoder = msgspec.json.Encoder()


class Marker(msgspec.Struct, omit_defaults=True):
    """The text of a marker, as JSON."""

    seq: int
    type: str
    text: str
    component: str | None = None
    settings: Any = None


class MarkerSource:
    """The markers of a ledger's last run, with their stamps: seconds of its monotonic clock, and ``ahead`` of that.

    ``more`` gives those that are new. Events before a run's first reading of the clocks have no stamp, and no marker.
    """

    def __init__(self, ledger: LedgerReader, ahead: float = 0.0) -> None:
        self._ledger = ledger
        self._ahead = ahead
        self._state = beginning(ledger) if ledger.first > 1 else GraphState()
        self._offset: int | None = None
        self.kept: list[tuple[float, str]] = []

    def more(self) -> list[tuple[float, str]]:
        """The markers of the events since; those before the start of another run are let go. Cost: a fold of these."""
        new: list[tuple[float, str]] = []
        for batch in self._ledger.read(self._state.seq):
            for event in batch:
                if type(event) is ev.ClockRead:
                    if event.reason == "start":  # of another start of the machine, perhaps
                        self.kept, new = [], []
                    self._offset = event.real - event.mono
                elif self._offset is not None and type(event) not in LEFT_OUT:
                    new.append(((event.time - self._offset) / 1e9 + self._ahead, marker_text(self._state, event)))
                self._state.apply(event)
        self.kept = (self.kept + new)[-KEPT_MAX:] if new else self.kept
        return new


def marker_text(state: GraphState, event: ev.AnyEvent) -> str:
    """The text of an event's marker; ``state``: the one before it."""
    kind = type_of(event)
    marker = Marker(event.seq, kind, deed(state, event) or kind)
    if isinstance(event, ev.SettingsUpdated):
        value = event.value
        marker.component = event.component
        marker.settings = value.repr_value if value.structured_value is None else value.structured_value
    return _encoder.encode(marker).decode("utf-8")


class Consumers:
    """The consumers of an outlet: whether one that has come is to be sent all.

    LSL tells whether there are any; how many, the system knows: connections to the outlet's port.
    """

    def __init__(self, outlet: Any) -> None:
        self._outlet = outlet
        self._port = _port_of(outlet)
        self._there = 0
        self._due: float | None = None

    def are_due(self) -> bool:
        """Whether a consumer came SETTLE_S ago. Cost: a small file of the system is read while there are any."""
        there = 0
        if self._outlet.have_consumers():
            there = max(1, connections(self._port))
        if there > self._there:
            self._due = time.monotonic() + SETTLE_S
        self._there = there
        if self._due is None or time.monotonic() < self._due:
            return False
        self._due = None
        return True


def _port_of(outlet: Any) -> int:
    """The port on which an outlet of LSL sends its samples; 0 where it does not say."""
    import xml.etree.ElementTree as ElementTree

    text = ElementTree.fromstring(outlet.get_info().as_xml()).findtext("v4data_port") or "0"
    return int(text)


def connections(port: int) -> int:
    """Count the established connections to a port of this machine; 0 where the system does not say."""
    found = 0
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:  # not Linux
            continue
        for line in lines:
            _, local, _, state, *_ = line.split()
            found += state == "01" and int(local.rpartition(":")[2], 16) == port
    return found


def stream_name(location: str) -> str:
    """The name of the stream of a ledger: that of its file, without the ending."""
    return f"ezmsg-ledger {Path(location).name.removesuffix('.ledger')}"


def follow(location: str, stop: threading.Event) -> None:
    """Send the markers of the ledger at ``location`` until ``stop`` is set. Raises MissingExtra, LedgerError."""
    library = pylsl(MissingExtra)
    with Ledger.open(location, "r") as ledger:
        source = MarkerSource(ledger, ahead_of_monotonic(library))
        info = library.StreamInfo(
            stream_name(location), "Markers", 1, library.IRREGULAR_RATE, library.cf_string, f"ezmsg-ledger:{ledger.id}"
        )
        info.desc().append_child_value("ledger", ledger.id)
        outlet = library.StreamOutlet(info, max_buffered=3600)
        consumers = Consumers(outlet)
        while True:
            over = stop.is_set()
            new = source.more()
            for stamp, text in source.kept if consumers.are_due() else new:
                outlet.push_sample([text], stamp)
            if over:
                if outlet.have_consumers():
                    time.sleep(AT_END_S)
                return
            stop.wait(POLL_S)


def main(arguments: Sequence[str] | None = None) -> int:
    """Stream the ledger that is named, until its recording is over; 1 when it cannot."""
    [location] = sys.argv[1:] if arguments is None else arguments
    stop = threading.Event()
    set_at_end(stop, location)
    try:
        follow(location, stop)
    except (LedgerError, OSError) as error:
        print(f"ezmsg-ledger: the marker stream: {error}", file=sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
