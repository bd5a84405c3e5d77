"""A drawing as SVG: one piece that loads nothing and needs no script, for light and for dark surroundings.

Every change has a dash or a sign beside its colour. Names come from other programs: all of them are escaped.
"""

import html
import re
from collections.abc import Iterable, Mapping, Sequence

from ezmsg.ledger.projections.drawing.document import Document, PlacedBox, PlacedPort, Segment
from ezmsg.ledger.projections.drawing.mask import CAME, HELD, SAME, WENT, Mask
from ezmsg.ledger.projections.drawing.sizes import NAME_PX, PAD, PORT_PX, shown
from ezmsg.ledger.projections.drawing.union import COLLECTION, IN, OUT, UNIT

CORNER, HEAD = 8, 6
"""Pixels: the radius of a line's corners, the length of an arrow's head."""

EMPTY = (240, 48)
"""Pixels: the size of a picture of nothing, which says so."""

COUNT_MIN = 24
"""Pixels that a piece of line has at least where a count is written on it."""

TITLED_MAX = 12
"""Edges that the tooltip of a line tells of; how many more there are, it says."""

_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif"

_LIGHT = {
    "paper": "#fbfcfd",
    "text": "#101828",
    "soft": "#44546a",
    "line": "#5b6b80",
    "came": "#0068a6",
    "went": "#b84a00",
    "held": "#a03d86",
    "card": "#ffffff",
    "rim": "#c3cedb",
    "n0": "#f2f5f8",
    "n1": "#e8edf2",
    "n2": "#dfe6ed",
}
_DARK = {
    "paper": "#0d1117",
    "text": "#eaf0f7",
    "soft": "#b3c0d1",
    "line": "#8a9ab0",
    "came": "#5ab4f5",
    "went": "#ff8f52",
    "held": "#e08bc8",
    "card": "#171d26",
    "rim": "#3a4658",
    "n0": "#131922",
    "n1": "#19212c",
    "n2": "#1f2935",
}
"""Each text and line has at least 4.5:1 on what it stands on; rims and tints are decoration."""

LINE_COLOURS = {CAME: _LIGHT["came"], WENT: _LIGHT["went"], HELD: _LIGHT["held"]}
"""The colours of changes beside a picture, on light paper."""

_CLASSES = {SAME: "same", CAME: "came", WENT: "went", HELD: "held"}
_SIGNS = {CAME: "+", WENT: "\N{MINUS SIGN}", HELD: "~"}


def svg(document: Document, mask: Mask, title: str = "") -> str:
    """The drawing as one SVG element. Cost: O(size), 4 ms for 60 units.

    What the mask leaves out is drawn faintly. ``title`` is what the picture is called for those who do not see it.

    >>> from ezmsg.ledger.projections.drawing.drawing import Drawing
    >>> from ezmsg.ledger.projections.drawing.mask import Scene, mask
    >>> from ezmsg.ledger.projections.drawing.union import Union
    >>> document = Drawing(Union((), [("A/OUT", "B/IN")])).document()
    >>> picture = svg(document, mask(document, Scene({("A/OUT", "B/IN"): {None}}, set())), "two units")
    >>> picture[:80]
    '<svg xmlns="http://www.w3.org/2000/svg" class="ezl" role="img" width="234" heigh'
    """
    w, h = (document.width, document.height) if document.boxes else EMPTY
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="ezl" role="img" width="{w}" height="{h}" '
        f'viewBox="0 0 {w} {h}" font-family="{FONT}" font-size="{PORT_PX}">',
        f"<title>{escaped(title)}</title>" if title else "",
        f"<style>{_STYLE}</style>",
        f'<rect class="paper" width="{w}" height="{h}" rx="6"/>',
    ]
    if not document.boxes:
        parts.append(f'<text class="mid" x="{w // 2}" y="{h // 2 + 4}">no unit, topic or edge was ever there</text>')
    depths: list[int] = []
    for place, box in enumerate(document.boxes):
        depths.append(depths[box.parent] + 1 if box.parent >= 0 else 0)
        if box.kind == COLLECTION:
            parts.append(_frame(box, min(depths[-1], 2), mask.boxes.get(place)))
    parts += _lines(document, mask)
    parts += _heads(document, mask)
    parts += [_box(document, place, mask) for place in range(len(document.boxes))]
    parts.append("</svg>")
    return "".join(parts)


def escaped(text: str) -> str:
    """A text from elsewhere for XML; control characters, and those that turn the direction of writing, as escapes."""
    return html.escape(_UNSAFE.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text))


_SHAPES = f"""
.ezl .e {{ fill: none; stroke-width: 1.4px }}
.ezl .came.e {{ stroke-width: 2.4px }}
.ezl .went.e {{ stroke-width: 2.2px; stroke-dasharray: 6 4 }}
.ezl .held.e {{ stroke-width: 2.2px; stroke-dasharray: 2 3 }}
.ezl .part.e {{ stroke-width: 1px }}
.ezl rect.went {{ stroke-dasharray: 6 4 }}
.ezl .h, .ezl .dot, .ezl text {{ stroke: none }}
.ezl .name {{ font-size: {NAME_PX}px; font-weight: 600 }}
.ezl text.came, .ezl text.went, .ezl text.held {{ font-weight: 600 }}
.ezl .end {{ text-anchor: end }}
.ezl .mid {{ text-anchor: middle }}
.ezl .ghost {{ opacity: .3 }}
.ezl text.ghost {{ opacity: .6 }}
"""


def _colours(named: Mapping[str, str]) -> str:
    rules = {
        ".paper": f"fill: {named['paper']}",
        ".card": f"fill: {named['card']}; stroke: {named['rim']}",
        ".bare": f"fill: {named['paper']}; stroke: {named['line']}",
        **{f".{nest}": f"fill: {named[nest]}; stroke: {named['rim']}" for nest in ("n0", "n1", "n2")},
        "text": f"fill: {named['soft']}",
        ".name": f"fill: {named['text']}",
        ".same": f"stroke: {named['line']}",
        ".h.same, .ezl .dot": f"fill: {named['line']}",
        **{f".{change}": f"stroke: {named[change]}" for change in ("came", "went", "held")},
        **{f".h.{c}, .ezl text.{c}, .ezl tspan.{c}": f"fill: {named[c]}" for c in ("came", "went", "held")},
    }
    return "".join(f".ezl {which} {{ {rule} }}\n" for which, rule in rules.items())


_STYLE = f"{_SHAPES}{_colours(_LIGHT)}@media (prefers-color-scheme: dark) {{\n{_colours(_DARK)}}}\n"


def _frame(box: PlacedBox, depth: int, mark: str | None) -> str:
    faint = "" if mark is not None else " ghost"
    changed = f" {_CLASSES[mark]}" if mark else ""
    return f'<rect class="n{depth}{faint}{changed}" x="{box.x}" y="{box.y}" width="{box.w}" height="{box.h}" rx="10"/>'


# --- lines -----------------------------------------------------------------------------------------------------------


def _lines(document: Document, mask: Mask) -> list[str]:
    """The lines: those of what is not there first, changes last."""
    layers: list[list[str]] = [[], [], []]
    for segment in document.segments:
        marks = [mark for mark in map(mask.edges.get, segment.edges) if mark is not None]
        path = rounded(segment.points)
        if not marks:
            layers[0].append(f'<path class="e same ghost" d="{path}"/>')
            continue
        changes = [mark for mark in (CAME, WENT, HELD) if mark in marks]
        whole = len(changes) == 1 and SAME not in marks
        title = f"<title>{_told(document, mask, segment)}</title>"
        if not whole:
            layers[1].append(f'<path class="e same" d="{path}">{title}</path>')
        if changes:
            look = _CLASSES[changes[0] if len(changes) == 1 else HELD]
            layers[2].append(f'<path class="e {look}{"" if whole else " part"}" d="{path}">{title}</path>')
            if len(segment.edges) > 1:
                layers[2].append(_count(segment, marks))
    return [line for layer in layers for line in layer]


def _count(segment: Segment, marks: Sequence[str]) -> str:
    """How many edges of a shared line changed, written on its longest level piece."""
    points = segment.points
    spans = [
        (abs(points[place + 2] - points[place]), (points[place + 2] + points[place]) // 2, points[place + 1])
        for place in range(0, len(points) - 2, 2)
        if points[place + 1] == points[place + 3]
    ]
    length, x, y = max(spans, default=(0, 0, 0))
    words = [(mark, f"{_SIGNS[mark]}{marks.count(mark)}") for mark in (CAME, WENT, HELD) if mark in marks]
    if length < COUNT_MIN:
        return ""
    spans_ = "".join(f'<tspan class="{_CLASSES[mark]}">{text}</tspan> ' for mark, text in words)
    return f'<text class="mid {_CLASSES[words[0][0]]}" x="{x}" y="{y - 4}">{spans_}</text>'


def _told(document: Document, mask: Mask, segment: Segment) -> str:
    lines = []
    there = [edge for edge in segment.edges if edge in mask.edges]
    for edge in there[:TITLED_MAX]:
        source, target = document.edges[edge]
        note = mask.notes.get(edge)
        lines.append(f"{mask.edges[edge]} {source} -> {target}".strip() + (f" ({note})" if note else ""))
    if len(there) > TITLED_MAX:
        lines.append(f"... {len(there) - TITLED_MAX} more")
    return escaped_lines(lines)


def escaped_lines(lines: Iterable[str]) -> str:
    """Lines from elsewhere, one below the other."""
    return "\n".join(map(escaped, lines))


def rounded(points: Sequence[int]) -> str:
    """The path of a line with rounded corners."""
    x, y = points[0], points[1]
    out = [f"M{x} {y}"]
    for place in range(2, len(points) - 2, 2):
        x1, y1, x2, y2 = points[place : place + 4]
        before = min(CORNER, (abs(x1 - x) + abs(y1 - y)) / 2)
        after = min(CORNER, (abs(x2 - x1) + abs(y2 - y1)) / 2)
        radius = min(before, after)
        ax, ay = x1 - _sign(x1 - x) * radius, y1 - _sign(y1 - y) * radius
        bx, by = x1 + _sign(x2 - x1) * radius, y1 + _sign(y2 - y1) * radius
        out.append(f"L{ax:g} {ay:g}Q{x1} {y1} {bx:g} {by:g}")
        x, y = x1, y1
    out.append(f"L{points[-2]} {points[-1]}")
    return "".join(out)


def _sign(number: int) -> int:
    return (number > 0) - (number < 0)


def _heads(document: Document, mask: Mask) -> list[str]:
    """The heads of arrows: one at each port that edges lead to, but on borders, where the line goes on."""
    marks: dict[str, str | None] = {}
    order = (None, SAME, HELD, WENT, CAME)
    for place, (_, target) in enumerate(document.edges):
        mark = mask.edges.get(place)
        if target not in marks or order.index(mark) > order.index(marks[target]):
            marks[target] = mark
    out = []
    for box in document.boxes:
        for port in box.ports:
            if box.kind != COLLECTION and port.topic in marks:
                mark = marks[port.topic]
                name = "same ghost" if mark is None else _CLASSES[mark]
                x, y = box.x, port.y
                out.append(f'<path class="h {name}" d="M{x - HEAD} {y - 3.5}L{x} {y}L{x - HEAD} {y + 3.5}Z"/>')
    return out


# --- boxes -----------------------------------------------------------------------------------------------------------


def _box(document: Document, place: int, mask: Mask) -> str:
    box = document.boxes[place]
    mark = mask.boxes.get(place)
    faint = "" if mark is not None else " ghost"
    changed = f" {_CLASSES[mark]}" if mark else ""
    about = escaped(f"{box.address} ({box.type})" if box.type else box.address)
    out = [f"<g><title>{about}</title>"]
    if box.kind != COLLECTION:
        radius = 6 if box.kind == UNIT else box.h // 2
        look = "card" if box.type else "bare"
        at = f'x="{box.x}" y="{box.y}" width="{box.w}" height="{box.h}"'
        out.append(f'<rect class="{look}{faint}{changed}" {at} rx="{radius}"/>')
    if box.kind in (UNIT, COLLECTION):
        where = f'class="name{faint}" x="{box.x + PAD}" y="{box.y + 16}"'
    else:
        where = f'class="name mid{faint}" x="{box.x + box.w / 2:g}" y="{box.y + box.h / 2 + 4:g}"'
    out.append(f"<text {where}>{escaped(shown(box.name))}</text>")
    for port in box.ports:
        out.append(_port(box, port, faint))
    out.append("</g>")
    return "".join(out)


def _port(box: PlacedBox, port: PlacedPort, faint: str) -> str:
    out = []
    if box.kind == COLLECTION:
        out.append(f'<circle class="dot{faint}" cx="{port.x}" cy="{port.y}" r="3"/>')
    elif port.side != IN:
        out.append(f'<circle class="dot{faint}" cx="{box.x + box.w}" cy="{port.y}" r="2"/>')
    if box.kind in (UNIT, COLLECTION):
        y = port.y + 3.5 if box.kind == UNIT else port.y - 4
        is_right = port.side == OUT
        x = port.x - 8 if is_right else port.x + 8
        name = f"{'end' if is_right else ''}{faint}".strip()
        out.append(f'<text class="{name}" x="{x}" y="{y:g}">{escaped(shown(port.name))}</text>')
    return "".join(out)
