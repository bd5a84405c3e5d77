"""Connect: what a client of the graph server waits for."""

import asyncio
import statistics
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

from ezmsg.core.graphcontext import GraphContext
from ezmsg.core.netprotocol import Address

from benchmarks.harness import Contender, Section, Setting, Spread, ratios, seconds, take_turns, times
from benchmarks.programs.peers import ACKNOWLEDGING, STOCK, Peer
from benchmarks.workload import Edges, chain, layered
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.runtime.recorder.process import Recorder

ABOUT = """\
An unmodified ezmsg `GraphContext` opens a session, connects every edge, one `await connect()` after the other, as a
pipeline does when it starts, and lets go of all of them at once. Every server runs in a process of its own, on the same
machine as the client; ours records to a disk. The *acknowledging server* keeps no graph and answers each command as
soon as it has read it: what remains is the client, the socket and the event loops. Times of single connects are taken
over whole start-ups; the last column compares whole start-ups, ours at level `interval`. ezmsg's own server takes so
long that it runs once.

Level `interval`, the default of our server, hands every event to the system before it is acknowledged and has the disk
confirm it within 50 ms; level `commit` has the disk confirm it first.

Where the time goes: what a connect takes beyond the acknowledging server is mostly the decision, 14 us when it is
called in a loop: cycle test, encoding, commit line and its SHA-256, the write, and the fold into the state and the
feeds. Nothing is answered before its level is reached."""

COLUMNS = ("graph", "server", "connect, p50", "connect, p99", "all connects", "clear", "our speed beside it")

EDGES, QUICK_EDGES = 3_000, 60

OURS, OURS_COMMIT = "ezmsg-ledger, interval", "ezmsg-ledger, commit"
FLOOR, STOCK_SERVER = "acknowledging server", "ezmsg 3.9's own"


class Startup(NamedTuple):
    """What one start-up took, in seconds: each connect, and clearing."""

    connects: list[float]
    clear: float

    @property
    def total(self) -> float:
        return sum(self.connects)


def run(setting: Setting) -> Section:
    """Start up on every server, with every graph."""
    section = Section("Connect", ABOUT, COLUMNS)
    number = QUICK_EDGES if setting.quick else EDGES
    with servers(setting.folder) as addresses:
        for address in addresses.values():  # once unmeasured, for what happens the first time only
            asyncio.run(start_up(address, chain(QUICK_EDGES)))
        for shape, edges in (("chain", chain(number)), ("layered", layered(number))):
            _measure(f"{shape}, {number:,} edges", edges, addresses, setting, section)
    return section


@contextmanager
def servers(folder: Path) -> Iterator[Mapping[str, str]]:
    """All servers, running: their addresses by name. Afterwards the ledgers are verified."""
    with tempfile.TemporaryDirectory(dir=folder) as name, ExitStack() as running:
        addresses: dict[str, str] = {}
        ledgers = {OURS: Path(name, "interval.ledger"), OURS_COMMIT: Path(name, "commit.ledger")}
        for label, durability in ((OURS, "interval"), (OURS_COMMIT, "commit")):
            recorder = Recorder(ledgers[label], durability=durability).start()
            running.callback(recorder.stop)
            addresses[label] = recorder.address
        for label, kind in ((FLOOR, ACKNOWLEDGING), (STOCK_SERVER, STOCK)):
            addresses[label] = running.enter_context(Peer(kind)).address
        yield addresses
        running.close()
        for path in ledgers.values():
            with Ledger.open(path, "r") as ledger:
                if not (found := ledger.verify()).sound:
                    raise RuntimeError(f"what was measured is no sound ledger: {found}")


def _measure(graph: str, edges: Edges, addresses: Mapping[str, str], setting: Setting, section: Section) -> None:
    startups: dict[str, list[Startup]] = {name: [] for name in addresses}

    def contender(name: str) -> Contender:
        def start() -> float:
            startup = asyncio.run(start_up(addresses[name], edges))
            startups[name].append(startup)
            return startup.total

        return start

    totals = take_turns(
        f"connect, {graph}", {name: contender(name) for name in addresses}, setting.rounds, {STOCK_SERVER}
    )
    for name, found in startups.items():
        p50 = Spread.of([statistics.median(each.connects) for each in found])
        p99 = Spread.of([statistics.quantiles(each.connects, n=100)[98] for each in found])
        total, clear = Spread.of(totals[name]), Spread.of([each.clear for each in found])
        ratio = "" if name == OURS else ratios(totals[name], totals[OURS]).written(times)
        figures = (spread.written(seconds) for spread in (p50, p99, total, clear))
        section.rows.append((graph, name, *figures, ratio))
    medians = {name: [statistics.median(each.connects) for each in found] for name, found in startups.items()}
    floor = ratios(medians[OURS], medians[FLOOR])
    section.aim(f"{graph}: p50 beside the acknowledging server", floor, 1.1, at_most=True)
    section.aim(f"{graph}: speed of all beside ezmsg's own server", ratios(totals[STOCK_SERVER], totals[OURS]), 30)


async def start_up(address: str, edges: Edges) -> Startup:
    """Connect ``edges`` through one session, and clear it."""
    connects: list[float] = []
    async with GraphContext(Address.from_string(address)) as context:
        for from_topic, to_topic in edges:
            start = perf_counter()
            await context.connect(from_topic, to_topic)
            connects.append(perf_counter() - start)
        start = perf_counter()
        await context.revert()
        clear = perf_counter() - start
    return Startup(connects, clear)
