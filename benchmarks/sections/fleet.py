"""Fleet: how fast ledgers come to a stream and out of it, and what that costs those who record."""

import asyncio
import itertools
import os
import statistics
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter, sleep

from benchmarks.harness import Aim, Section, Setting, Spread, count, ratios, say, seconds, take_turns, times
from benchmarks.programs.broker import Broker
from benchmarks.sections.connect import start_up
from benchmarks.workload import batches, chain, events
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.runtime.recorder.followers import Followers
from ezmsg.ledger.runtime.recorder.process import Recorder
from ezmsg.ledger.storage.disk import OS_DISK
from ezmsg.ledger.tools.fleet.jetstream.nats_broker import NatsBroker
from ezmsg.ledger.tools.fleet.jetstream.place import parse
from ezmsg.ledger.tools.fleet.jetstream.stream import ready
from ezmsg.ledger.tools.fleet.message import FENCE, HEADERS_MAX, MESSAGE_ID, PIECE_MAX, stored
from ezmsg.ledger.tools.fleet.shipping.process import shipper
from ezmsg.ledger.tools.fleet.shipping.shipping import Aim as Goal
from ezmsg.ledger.tools.fleet.shipping.shipping import Shipping

ABOUT = """\
A real server of NATS JetStream in a process of its own, on the same disk, with `sync_interval: always`: it syncs each
message before it acknowledges it, and one append is on its way at a time.

*Ship*: a finished ledger, recorded in commits of 100 events, to a new stream, which is connected to and made as well;
beside a copy of the file on the same disk with an `fdatasync` after every 256 KiB, and beside a bare loop that checks
nothing: nats-py's own `publish` of messages as large, with the same fence, each after the one before was acknowledged.
*Read*: all events of the shipped ledger, which is fetched and checked byte by byte on the way, beside all events of the
file. *Live*: a ledger under 5,000 commits a second of one event each, shipped by a process of its own, as `run --ship`
starts it; how old the oldest event is that is not in the stream, looked at every 20 ms, and the worst of a run.
*Connect*: p50 of single connects of ezmsg's own client at a recorder that is shipped while it records, beside one that
is not; both take turns.

*Beside the row before*: of ship and read our speed to the other one's, of live the worst lag to one second, of connect
our time to the other one's."""

COLUMNS = ("what", "takes", "per second", "beside the row before")

EVENTS, QUICK_EVENTS = 1_000_000, 5_000
COMMIT = 100
COPIED = 256 * 1024

RATE = 5_000
LIVE_S, QUICK_LIVE_S = 10.0, 0.3
LOOK_S = 0.02
LATE_S = 1.0

EDGES, QUICK_EDGES = 2_000, 60

COPY, SHIP = "a copy, `fdatasync` per 256 KiB", "ship"
BARE = "a bare loop of acknowledged messages"
FILE, STREAM = "read the file", "read the stream"
ALONE, SHIPPED = "connect, not shipped, p50", "connect, shipped, p50"


def run(setting: Setting) -> Section:
    """Measure all of it beside one broker."""
    section = Section("Fleet", ABOUT, COLUMNS)
    with tempfile.TemporaryDirectory(dir=setting.folder) as name:
        folder = Path(name)
        with Broker(folder) as broker:
            _finished(folder, broker.address, setting, section)
            _live(folder, broker.address, setting, section)
            _recorded(folder, broker.address, setting, section)
    return section


def _row(section: Section, what: str, took: Sequence[float], amount: float = 0.0, unit: str = "") -> None:
    rate = Spread.of([amount / each for each in took]).written(count) + f" {unit}" if amount else ""
    section.rows.append((what, Spread.of(took).written(seconds), rate, ""))


def _aim(section: Section, what: str, ratio: Spread, bound: float, at_most: bool = False) -> None:
    """Hold the contender of the last row against an aim."""
    section.rows[-1] = (*section.rows[-1][:3], ratio.written(times))
    section.aims.append(Aim(what, ratio, bound, at_most))


# --- a finished ledger -----------------------------------------------------------------------------------------------


def _finished(folder: Path, address: str, setting: Setting, section: Section) -> None:
    number = QUICK_EVENTS if setting.quick else EVENTS
    path = folder / "finished.ledger"
    say(f"fleet: writing {number:,} events")
    with Ledger.open(path, durability="none") as ledger:
        for commit in batches(events(number), COMMIT):
            ledger.append(commit)
        ledger.sync()
    size, turns, bare_turns = path.stat().st_size, itertools.count(1), itertools.count(1)

    def ship() -> float:
        start = perf_counter()
        goal = Goal(parse(address, f"SHIPPED{next(turns)}"), "rig")
        shipping = Shipping(str(path), goal, lambda text: None, threading.Event())
        try:
            assert shipping.run(follow=False)
            took = perf_counter() - start
            assert shipping.shipper.reached is not None
            assert (shipping.shipper.reached.offset, shipping.shipper.reached.upto) == (size, number)
        finally:
            shipping.close()
        return took

    def read(location: str) -> float:
        start, last = perf_counter(), 0
        with Ledger.open(location, "r") as reader:
            for batch in reader.read():
                last = batch[-1].seq
        took = perf_counter() - start
        assert last == number, f"{last} of {number} events were read"
        return took

    def bare() -> float:
        return asyncio.run(_published(path, address, f"BARE{next(bare_turns)}"))

    contenders = {COPY: lambda: _copy(path), BARE: bare, SHIP: ship}
    figures = take_turns("fleet, ship", contenders, setting.rounds)
    for what, before in ((COPY, None), (BARE, COPY), (SHIP, BARE)):
        _row(section, f"{what}, {number:,} events", figures[what], size / 1e6, "MB")
        if before is not None:
            section.rows[-1] = (*section.rows[-1][:3], ratios(figures[before], figures[what]).written(times))
    beside_copy = ratios(figures[COPY], figures[SHIP])
    section.aims.append(Aim(f"fleet: speed of ship beside {COPY}", beside_copy, 0.5, False))
    figures = take_turns(
        "fleet, read",
        {FILE: lambda: read(str(path)), STREAM: lambda: read(f"{address}/SHIPPED1/rig")},
        setting.rounds,
    )
    for what, took in figures.items():
        _row(section, f"{what}, {number:,} events", took, number, "events")
    _aim(section, "fleet: speed of reading a stream beside the file", ratios(figures[FILE], figures[STREAM]), 0.5)


def _copy(path: Path) -> float:
    copy = path.with_name("copy")
    source, target = os.open(path, os.O_RDONLY), os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    start = perf_counter()
    while piece := os.read(source, COPIED):
        os.write(target, piece)
        OS_DISK.sync(target)
    took = perf_counter() - start
    os.close(source)
    os.close(target)
    copy.unlink()
    return took


async def _published(path: Path, address: str, stream: str) -> float:
    """The seconds in which a client that checks nothing brings a file to a new stream, as messages as large as ours, of
    which the server takes each only after the one before."""
    import nats

    start = perf_counter()
    client = await nats.connect(address)
    try:
        jetstream = client.jetstream(timeout=LATE_S * 60)
        await jetstream.add_stream(name=stream, subjects=[f"{stream}.file"])
        with path.open("rb") as file:
            number = 0
            while data := file.read(PIECE_MAX - HEADERS_MAX):
                fenced = {FENCE: str(number), MESSAGE_ID: f"{stream}:{number}"}
                number = (await jetstream.publish(f"{stream}.file", data, headers=fenced)).seq
        return perf_counter() - start
    finally:
        await client.close()


# --- a live ledger ---------------------------------------------------------------------------------------------------


def _live(folder: Path, address: str, setting: Setting, section: Section) -> None:
    duration = QUICK_LIVE_S if setting.quick else LIVE_S
    worst: list[float] = []
    rates: list[float] = []
    for number in range(1, setting.rounds + 1):
        say(f"fleet, live: round {number} of {setting.rounds}")
        late, rate = _followed(folder / f"live{number}.ledger", f"{address}/LIVE{number}", int(RATE * duration))
        worst.append(late)
        rates.append(rate)
    what = f"live, {RATE:,} commits a second asked for, the worst lag in {duration:g} s"
    section.rows.append((what, Spread.of(worst).written(seconds), Spread.of(rates).written(count) + " commits", ""))
    ratio = Spread.of([each / LATE_S for each in worst])
    _aim(section, f"fleet: the worst lag of a live ledger under {RATE:,} commits a second, to 1 s", ratio, 1.0, True)


def _followed(path: Path, address: str, commits: int) -> tuple[float, float]:
    """Record so many commits while they are shipped: the worst lag in seconds, and the commits a second."""
    workload = events(commits + 1)
    with (
        Ledger.open(path) as ledger,
        NatsBroker(parse(address)) as broker,
        Followers([shipper(address)]) as followers,
    ):
        ready(broker, None, lambda text: None)
        ledger.append(workload[:1])
        followers.start(str(path))
        while broker.last(ledger.id) is None:
            sleep(LOOK_S)
        recorded = [perf_counter()]  # by place: when each event was recorded, the first one long ago
        over = threading.Event()
        lags: list[float] = []

        def look() -> None:
            there = 1
            while there < len(recorded) or not over.is_set():
                message = broker.last(ledger.id)
                now = perf_counter()
                assert message is not None
                there = stored(message).piece.upto
                lags.append(now - recorded[there] if there < len(recorded) else 0.0)
                sleep(LOOK_S)

        watcher = threading.Thread(target=look)
        watcher.start()
        start = perf_counter()
        for number, event in enumerate(workload[1:]):
            if (early := start + number / RATE - perf_counter()) > 0:
                sleep(early)
            ledger.append([event])
            recorded.append(perf_counter())
        rate = commits / (perf_counter() - start)
        ledger.sync()
        over.set()
        watcher.join()
    return max(lags), rate


# --- a recorder that is shipped --------------------------------------------------------------------------------------


def _recorded(folder: Path, address: str, setting: Setting, section: Section) -> None:
    edges = chain(QUICK_EDGES if setting.quick else EDGES)
    medians: dict[str, list[float]] = {ALONE: [], SHIPPED: []}
    paths = {ALONE: folder / "alone.ledger", SHIPPED: folder / "shipped.ledger"}
    recorders = {what: Recorder(path).start() for what, path in paths.items()}
    followers = Followers([shipper(f"{address}/RECORDED")])
    try:
        followers.start(str(paths[SHIPPED]))

        def connect(what: str) -> float:
            started = asyncio.run(start_up(recorders[what].address, edges))
            medians[what].append(statistics.median(started.connects))
            return started.total

        for what in medians:  # once unmeasured, for what happens the first time only
            connect(what)
            medians[what].clear()
        take_turns("fleet, connect", {what: lambda what=what: connect(what) for what in medians}, setting.rounds)
    finally:
        for recorder in recorders.values():
            recorder.stop()
        followers.wait()
    for what, took in medians.items():
        _row(section, what, took, 1, "connects")
    ratio = ratios(medians[SHIPPED], medians[ALONE])
    _aim(section, "fleet: connect while shipping, to not shipping", ratio, 1.05, True)
    with Ledger.open(paths[SHIPPED], "r") as here, Ledger.open(f"{address}/RECORDED/{here.id}", "r") as there:
        if here.head != there.head:
            raise RuntimeError(f"{there.head} of {here.head} events came to the stream")
