"""Drawing: how long a layout takes, and how large it is."""

from collections.abc import Callable
from time import process_time

from benchmarks.graphs import Parts, chain, deep, rig
from benchmarks.harness import Section, Setting, Spread, seconds, take_turns
from ezmsg.ledger.projections.drawing.document import Document
from ezmsg.ledger.projections.drawing.drawing import Drawing
from ezmsg.ledger.projections.drawing.mask import SAME, Mask
from ezmsg.ledger.projections.drawing.svg import svg
from ezmsg.ledger.projections.drawing.union import Union

ABOUT = """\
All that ever lived in a recording is laid out once: a chain of 60 units; rigs of 2 and 12 filter banks; a system of 608
units three levels deep, once with 118 edges right through all borders and once with 4,218. Layout is from a union of
components and edges to a place for everything; the picture is the SVG of it. Processor time, in one process."""

COLUMNS = ("graph", "units", "edges", "layout", "picture", "size, pixels")

GRAPHS: dict[str, Callable[[], Parts]] = {
    "chain": lambda: chain(60),
    "rig of 2": lambda: rig(2),
    "rig of 12": lambda: rig(12),
    "deep": deep,
    "deep, more edges": lambda: deep(4_218),
}
QUICK_GRAPHS = ("chain", "rig of 2")

AIMS_SECONDS = {"rig of 12": 0.02, "deep": 0.2}
"""What a layout should take at most."""


def run(setting: Setting) -> Section:
    """Lay out every graph."""
    section = Section("Drawing", ABOUT, COLUMNS)
    for name in QUICK_GRAPHS if setting.quick else GRAPHS:
        _measure(name, GRAPHS[name](), setting, section)
    return section


def _measure(name: str, parts: Parts, setting: Setting, section: Section) -> None:
    union = Union(*parts)
    document = Drawing(union).document()

    def layout() -> float:
        begin = process_time()
        Drawing(union)
        return process_time() - begin

    figures = take_turns(f"drawing, {name}", {"layout": layout, "picture": lambda: _paint(document)}, setting.rounds)
    took = {what: Spread.of(each) for what, each in figures.items()}
    units = sum(box.kind == "unit" for box in document.boxes)
    size = f"{document.width:,} x {document.height:,}"
    section.rows.append(
        (name, str(units), f"{len(parts[1]):,}", *(took[what].written(seconds) for what in ("layout", "picture")), size)
    )
    if name in AIMS_SECONDS and not setting.quick:
        aim = AIMS_SECONDS[name]
        beside = Spread.of([each / aim for each in figures["layout"]])
        what = f"layout of {name}, {units} units: beside {seconds(aim)}"
        section.aim(what, beside, 1.0, at_most=True)


def _paint(document: Document) -> float:
    everything = Mask(dict.fromkeys(range(len(document.boxes)), SAME), dict.fromkeys(range(len(document.edges)), SAME))
    begin = process_time()
    svg(document, everything)
    return process_time() - begin
