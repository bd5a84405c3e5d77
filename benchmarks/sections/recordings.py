"""Data files beside a ledger: what it takes to copy one with the ledger's tables in it, and to ask about one."""

import os
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.harness import Aim, Section, Setting, Spread, count, ratios, say, seconds, take_turns, times
from benchmarks.sections.sizes import COMMAND, took
from benchmarks.workload import Laboratory
from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev
from ezmsg.ledger.clock import Clock
from ezmsg.ledger.projections import Timeline

ABOUT = """\
Data files of a gigabyte, an hour at 1 kHz: NWB as `pynwb` writes it, in one piece; NWB as ezmsg-nwb writes it, each
sample and each stamp in a block of its own; raw FIF. *Copy* copies such a file and waits for the disk; *annotate* is
the command, from its start to its end, with its own wait for the disk, at a ledger of 1,000 events. Both find the file
in the system's cache, and the libraries of the formats are compiled, as pip leaves them. *in-force* asks which
settings and wiring made one minute of the second file, with a ledger of a million events and its index. Wall time
where a disk is waited for; it needs the extras `nwb` and `mne`, minutes, and 4 GB, which are kept in the benchmarks'
folder."""

COLUMNS = ("what", "of", "takes", "processor time", "beside a copy")

FS, CHANNELS = 1000, 72
SECONDS, QUICK_SECONDS = 3600, 4
BLOCK = 20
"""Samples that ezmsg-nwb is given at once, of a clock of 50 ticks a second."""

EVENTS, MANY_EVENTS, QUICK_EVENTS = 1_000, 1_000_000, 2_000
COMMIT = 200
BEGAN_NS, BEGIN_MONO_NS = 1_790_000_000 * 10**9, 1000 * 10**9
"""When the recordings begin, and what the monotonic clock says when their ledgers do."""

LEAD_NS = 2 * 10**9
"""How long the ledger is recorded before the first sample."""

ANNOTATE_MAX, IN_FORCE_SECONDS = 2.0, 2.0
"""What annotate should take at most beside a copy, and in-force."""


class Stepped(Clock):
    """A clock that runs as far as it is told."""

    def __init__(self, real: int) -> None:
        self._real, self.passed = real, 0

    def real(self) -> int:
        return self._real + self.passed

    def mono(self) -> int:
        return BEGIN_MONO_NS + self.passed

    def boot(self) -> int | None:
        return self.mono()


def run(setting: Setting) -> Section:
    """Measure copies with tables beside plain ones, and a question."""
    section = Section("Recordings", ABOUT, COLUMNS)
    length = QUICK_SECONDS if setting.quick else SECONDS
    for what, suffix, write in (
        ("NWB, one piece", ".nwb", partial(_nwb, blocks=False)),
        ("NWB, a block for each sample", ".nwb", partial(_nwb, blocks=True)),
        ("raw FIF", "_raw.fif", _fif),
    ):
        name = what.replace(",", "").replace(" ", "-").lower()
        file = setting.folder / f"recordings-{name}-{length}{suffix}"
        ledger = _ledger(file, length, EVENTS)
        _made(file, what, length, write)
        _annotated(what, file, ledger, setting, section)
    number = QUICK_EVENTS if setting.quick else MANY_EVENTS
    file = setting.folder / f"recordings-nwb-a-block-for-each-sample-{length}.nwb"
    _asked(file, _ledger(file, length, number), number, length, setting, section)
    return section


def _annotated(what: str, file: Path, ledger: Path, setting: Setting, section: Section) -> None:
    out = file.with_name(f"annotated-{file.name}")
    processor: list[float] = []
    size = f"{file.stat().st_size / 1e9:.2f} GB"

    def copy() -> float:
        begin = perf_counter()
        shutil.copyfile(file, out)
        with out.open("rb+") as copied:
            os.fsync(copied.fileno())
        return _done(perf_counter() - begin)

    def annotate() -> float:
        spent = took(COMMAND, ["annotate", str(file), str(ledger), "-o", str(out)])
        processor.append(spent.processor)
        return _done(spent.wall)

    def _done(wall: float) -> float:
        out.unlink()
        os.sync()  # what the one has left for the disk to do is not the other's
        return wall

    _compiled(annotate)
    processor.clear()
    contenders: dict[str, Callable[[], float]] = {"copy": copy, "annotate": annotate}
    figures = take_turns(f"recordings, {what}", contenders, setting.rounds)
    ratio = ratios(figures["annotate"], figures["copy"])
    section.rows.append((f"copy, {what}", size, Spread.of(figures["copy"]).written(seconds), "", ""))
    spent = Spread.of(processor).written(seconds)
    told = Spread.of(figures["annotate"]).written(seconds)
    section.rows.append((f"annotate, {what}", size, told, spent, ratio.written(times)))
    section.aims.append(Aim(f"recordings: annotate, {what}, beside a copy", ratio, ANNOTATE_MAX, at_most=True))


def _compiled(annotate: Callable[[], float]) -> None:
    """Let the libraries be compiled once, also where the environment of this process says that nothing is kept of it:
    to compile them at each start takes longer than all that is measured."""
    kept = os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    try:
        annotate()
    finally:
        if kept is not None:
            os.environ["PYTHONDONTWRITEBYTECODE"] = kept


def _asked(file: Path, ledger: Path, number: int, length: int, setting: Setting, section: Section) -> None:
    middle = length // 2
    ask = ["in-force", str(file), str(ledger), "--from", str(middle), "--to", str(min(length, middle + 60))]
    found = [took(COMMAND, ask) for _ in range(setting.rounds)]
    wall, processor = (Spread.of([each[place] for each in found]) for place in (1, 0))
    of = f"{count(number)} events"
    section.rows.append(("in-force, a minute", of, wall.written(seconds), processor.written(seconds), ""))
    beside = Spread.of([each.processor / IN_FORCE_SECONDS for each in found])
    what = f"recordings: in-force, a minute, {of}: processor time beside {seconds(IN_FORCE_SECONDS)}"
    section.aims.append(Aim(what, beside, 1.0, at_most=True))


# --- files -----------------------------------------------------------------------------------------------------------


def _ledger(file: Path, length: int, number: int) -> Path:
    """A ledger of so many events over the time of the recording, which names the file."""
    path = file.with_name(f"{file.name}-{number}.ledger")
    if not path.exists():
        say(f"recordings: writing {number:,} events")
        clock = Stepped(BEGAN_NS - LEAD_NS)
        step = (LEAD_NS + (length + 1) * 10**9) // max(1, number // COMMIT)
        with Ledger.open(path, clock=clock, durability="none") as ledger:
            events = _events(file, clock)
            for _ in range(number // COMMIT):
                ledger.append(list(islice(events, COMMIT)))
                clock.passed += step
            ledger.append([_reading(clock, "stop"), ev.ServerStopped(server=2, reason="stopped")])
    with Ledger.open(path, "r") as ledger:
        _ = Timeline(ledger).lifetimes  # the index is made
    return path


def _reading(clock: Clock, reason: str) -> ev.ClockRead:
    return ev.ClockRead(reason=reason, **clock.read()._asdict(), **clock.identity()._asdict())


def _events(file: Path, clock: Clock) -> Iterator[ev.Event]:
    """A laboratory with an amplifier whose gain changes now and then, and a sink that names the file."""
    laboratory = Laboratory()
    events = laboratory.events()
    yield _reading(clock, "start")
    yield next(events)
    laboratory.seq += 1
    yield next(events)
    initial = {"AMP": {"gain": 0}, "SINK": {"filepath": f"PosixPath('{file.absolute()}')", "inc_clock": "system"}}
    components = {
        f"S/{name}": {"address": f"S/{name}", "name": name, "initial_settings": {"$": "t", "v": [None, fields]}}
        for name, fields in initial.items()
    }
    metadata = {"$": "GraphMetadata", "schema_version": 1, "root_name": "S", "components": components}
    process = laboratory.seq + 2
    yield ev.MetadataRegistered(session=laboratory.seq, metadata=metadata, raw=None)
    yield ev.ProcessOpened(uuid="00000000-0000-0000-0000-000000000009")
    yield ev.ProcessRegistered(process=process, pid=7, host="here", units=("S/AMP", "S/SINK"))
    laboratory.seq += 3
    gain = 0
    while True:
        gain += 1
        laboratory.seq += 1
        value: dict[str, Any] = {"gain": gain}
        yield ev.SettingsUpdated(process=process, component="S/AMP", value=ev.SettingsValue(None, value, value))
        yield from islice(events, COMMIT - 1)


def _made(file: Path, what: str, length: int, write: Callable[[Path, int], None]) -> None:
    if not file.exists():
        say(f"recordings: writing {what}")
        beside = file.with_name(f"new-{file.name}")
        write(beside, length)
        beside.rename(file)
        os.sync()


def _nwb(path: Path, length: int, blocks: bool) -> None:
    import numpy
    import pynwb

    began = BEGAN_NS
    first = (BEGIN_MONO_NS + LEAD_NS - began) / 1e9  # as ezmsg-nwb does: monotonic, less the session start
    number = length * FS
    file = pynwb.NWBFile("benchmark", "benchmark", datetime.fromtimestamp(began / 1e9, UTC))
    with pynwb.NWBHDF5IO(str(path), "w") as io:
        if not blocks:
            stamps, samples = first + numpy.arange(number) / FS, numpy.ones((number, CHANNELS), numpy.float32)
            _add(file, samples, stamps)
            io.write(file)
            return
        from hdmf.backends.hdf5.h5_utils import H5DataIO

        growing: dict[str, Any] = {"maxshape": (None,), "fillvalue": numpy.nan}
        stamps = H5DataIO(shape=(0,), dtype=numpy.float64, **growing)
        growing["maxshape"] = (None, CHANNELS)
        _add(file, H5DataIO(shape=(0, CHANNELS), dtype=numpy.float32, **growing), stamps)
        io.write(file)
        series = file.acquisition["signal"]
        samples, stamps = series.data.dataset, series.timestamps.dataset
        block = numpy.ones((BLOCK, CHANNELS), numpy.float32)
        for begin in range(0, number, BLOCK):
            samples.resize(begin + BLOCK, axis=0)
            samples[begin:] = block
            stamps.resize(begin + BLOCK, axis=0)
            stamps[begin:] = first + numpy.arange(begin, begin + BLOCK) / FS


def _add(file: Any, samples: Any, stamps: Any) -> None:
    import pynwb

    file.add_acquisition(pynwb.TimeSeries(name="signal", data=samples, timestamps=stamps, unit="volts"))


def _fif(path: Path, length: int) -> None:
    import mne
    import numpy

    raw = mne.io.RawArray(numpy.ones((CHANNELS, length * FS)), mne.create_info(CHANNELS, FS, "eeg"), verbose="error")
    raw.set_meas_date(BEGAN_NS / 1e9)
    raw.save(path, fmt="single", verbose="error")
