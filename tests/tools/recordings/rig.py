"""A rig whose ledger was written with a clock that tests move, and recordings laid beside it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev
from ezmsg.ledger.metadata import CollectionMetadata, GraphMetadata, UnitMetadata
from ezmsg.ledger.projections.questions.settings.change_request import request_for
from ezmsg.ledger.runtime.live import LiveGraph
from ezmsg.ledger.tools.recordings.clocks.axis import Axis, Piece, counted
from ezmsg.ledger.tools.recordings.recording import Recording
from ezmsg.ledger.values import freeze
from tests.fake_clock import SECOND, FakeClock

RATE = 1000.0


def settings(**fields: Any) -> ev.SettingsValue:
    return ev.SettingsValue(serialized=None, repr_value=fields, structured_value=fields)


class Rig:
    """One run of an amplifier, a clock of 50 ticks a second, and a sink that names ``file``.

    ``changes`` are the readings (mono, ns) at which the gain came to be 2, 3, ...; ``began`` is where samples begin.
    """

    def __init__(self, path: Path, file: Path, clock: FakeClock, inc_clock: str = "system") -> None:
        self.path, self.file, self.clock = path, file, clock
        self.ledger = Ledger.open(path, clock=clock)
        self.live = LiveGraph(self.ledger, kind="server", name="rig")
        self.session = self.live.open_session(label="S")
        self.live.connect("S/AMP/OUT", "S/SINK/IN", self.session)
        self.live.register(self.session, metadata(file, inc_clock))
        self.process = self.live.open_process()
        self.live.register_process(self.process, 7, clock.host, ["S/AMP", "S/CLOCK", "S/SINK"])
        self.changes: list[int] = []
        clock.run(2)
        self.began = clock.mono()
        self.began_wall = clock.real()

    def set_gain(self, gain: int, asked: bool = False, took: float = 0.001) -> None:
        """The gain is changed by a report; ``asked``: by a request that took so many seconds."""
        request = 0
        if asked:
            payload = request_for("gain", str(gain))
            request, _ = self.live.route_request(self.session, f"r{gain}", "S/AMP", "UPDATE_SETTING_FIELD", payload)
            self.clock.run(took)
        value: int | str = str(gain) if asked else gain
        self.live.update_settings(self.process, "S/AMP", settings(gain=value, unit="uV"))
        self.changes.append(self.clock.mono())
        if asked:
            self.live.answer_request(request, True, None, round(took * SECOND))

    def close(self) -> None:
        self.live.close()
        self.ledger.close()

    def recording(
        self, form: str, length: float = 60.0, *, stamps: Callable[[float], float] | None = None
    ) -> Recording:
        """The recording of ``length`` seconds from ``began`` on, in the format: NWB (mono less session start), XDF,
        FIF (counted)."""
        count = round(length * RATE)
        start = self.began_wall - SECOND  # when the sink was made
        if form == "FIF":
            return Recording(self.file, form, "raw", counted(0.0, RATE, count), self.began_wall, self.began_wall)
        first = self.began / SECOND - (start / SECOND if form == "NWB" else 0)
        axis = Axis([Piece(0, count - 1, first, first + (count - 1) / RATE)], 1 / RATE, count)
        if form == "XDF":
            return Recording(
                self.file, form, "rig", axis, None, start, streams=["rig"], host=self.clock.host, offsets=True
            )
        return Recording(self.file, form, "signal", axis, start, start)


def metadata(file: Path, inc_clock: str) -> Any:
    units = {
        "AMP": {"gain": 1, "unit": "uV"},
        "CLOCK": {"dispatch_rate": 50.0},
        "SINK": {"filepath": f"PosixPath('{file}')", "inc_clock": inc_clock, "overwrite_old": False},
        "OUTLET": {"stream_name": "rig"},
    }
    components: dict[str, Any] = {
        "S": CollectionMetadata(
            address="S",
            name="S",
            component_type="x.S",
            initial_settings=(None, {}),
            children=[f"S/{each}" for each in units],
        )
    }
    for name, fields in units.items():
        components[f"S/{name}"] = UnitMetadata(
            address=f"S/{name}", name=name, component_type="x.U", initial_settings=(None, fields)
        )
    return freeze(GraphMetadata(root_name="S", components=components))
