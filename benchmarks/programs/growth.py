"""By how much a process grows that holds a history.

``python -m benchmarks.programs.growth ezmsg-ledger|Raphtory PATH`` prints the bytes.
"""

import gc
import sys
from contextlib import suppress
from pathlib import Path

import psutil

from benchmarks.sections import timetravel
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.questions.timeline import Timeline


def main(who: str, path: Path) -> int:
    """Bytes of resident memory that the history takes; what both import is there before."""
    with suppress(ImportError):
        import raphtory  # noqa: F401 - its library is not its graph

    process = psutil.Process()
    gc.collect()
    before = process.memory_info().rss
    if who == timetravel.RAPHTORY:
        kept = timetravel.raphtory(path)
    else:
        kept = Timeline(Ledger.open(path, "r"))
        middle = kept.ledger.head // 2
        edge = kept.lifetimes.edge(0)
        kept.at(middle)
        kept.lifetimes.edges_at(middle)
        kept.why(" -> ".join(edge))
        kept.when(f"edge {edge[0]} -> {edge[1]}")
    gc.collect()
    grown = process.memory_info().rss - before
    del kept
    return grown


if __name__ == "__main__":
    print(main(sys.argv[1], Path(sys.argv[2])))
