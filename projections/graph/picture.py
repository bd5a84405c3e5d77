"""Pictures of a state and of a difference for notebooks: one piece of SVG, which loads nothing and needs no script.

Every change has a sign and a dash beside its colour (those of Okabe and Ito, which everybody can tell apart), and all
that is drawn is below it as text. Names come from other programs: all of them are escaped.
"""

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from msgspec import UNSET

from ezmsg.ledger.projections.graph.layers import layers

if TYPE_CHECKING:
    from ezmsg.ledger.projections.graph.facts import Position
    from ezmsg.ledger.projections.graph.ownership import EdgeKey, Owner
    from ezmsg.ledger.projections.graph.tables import GraphTables

BOXES_MAX = 120
"""Components that are drawn: a picture of more is a grey tangle, and slow to show. The text is always there."""

LINES_MAX = 200
"""Lines of text below a picture."""

CHARACTER, ROW, PAD, GAP_X, GAP_Y, LANE = 6.7, 16, 8, 90, 18, 8
"""Pixels: the width of a character at 11 px, the height of a topic's row, the space in, between and below boxes."""

SHOWN_MAX = 36
"""Characters of a name that are drawn; a tooltip has all of it."""

SAME, CAME, WENT, HELD = "", "+", "-", "~"

_STROKES = {
    SAME: 'stroke="currentColor" stroke-opacity="0.55" stroke-width="1.3"',
    CAME: 'stroke="#0072B2" stroke-width="2.6"',
    WENT: 'stroke="#D55E00" stroke-width="2.2" stroke-dasharray="7 4"',
    HELD: 'stroke="#CC79A7" stroke-width="2.2" stroke-dasharray="2 3"',
}
_INKS = {SAME: "currentColor", CAME: "#0072B2", WENT: "#D55E00", HELD: "#CC79A7"}
_MEANING = {CAME: "came", WENT: "went", HELD: "held by others than before"}

_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


class Edge(msgspec.Struct, frozen=True):
    """An edge as it is drawn: ``sign`` is one of SAME, CAME, WENT, HELD; ``note``: who holds it, or held it."""

    from_topic: str
    to_topic: str
    sign: str
    note: str


class Port(NamedTuple):
    """Where lines meet a box, in pixels: its left and right side, and the height of the topic's row."""

    left: float
    right: float
    y: float


class Tip(NamedTuple):
    """Where an arrow ends, and how far back of that its head begins."""

    x: float
    y: float
    back: float


def state_html(state: "GraphTables") -> str:
    """The graph of a state, as HTML. Cost: O(n log n) in edges."""
    names = _names(state)
    edges = [Edge(*edge, SAME, _holders(owners, names)) for edge, owners in sorted(state.ownership.edges())]
    said = f"seq {state.seq}: {len(edges)} edges, {len(state.sessions)} sessions, {len(state.processes)} processes"
    return _figure(said, edges, [f"{edge.from_topic} -> {edge.to_topic}  ({edge.note})" for edge in edges])


def compared_html(before: "GraphTables", after: "GraphTables") -> str:
    """Two states in one picture, as HTML: what came, what went, what is held by others. Cost: O(n log n) in edges."""
    old, new = dict(before.ownership.edges()), dict(after.ownership.edges())
    was, now = _names(before), _names(after)
    edges = [_compared(edge, old.get(edge), new.get(edge), was, now) for edge in sorted({*old, *new})]
    changed = [edge for edge in edges if edge.sign]
    said = f"from seq {before.seq} to seq {after.seq}: {_tally(edge.sign for edge in changed)}"
    lines = [f"{edge.sign} {edge.from_topic} -> {edge.to_topic}  ({edge.note})" for edge in changed]
    return _figure(said, edges, lines)


def diff_html(before: "Position", after: "Position", changes: Sequence[Any]) -> str:
    """The holds on edges that a difference gives and takes, drawn, and all of its changes as text. Cost: O(changes).

    A difference knows nothing of what stayed: ``compared_html`` of two states draws that as well.
    """
    holds: dict[EdgeKey, list[tuple[str, str]]] = {}
    for change in changes:
        if change.key[0] == "edge":
            _, from_topic, to_topic, owner = change.key
            who = "persistent" if owner is None else f"session {owner}"
            holds.setdefault((from_topic, to_topic), []).append((CAME if change.before is UNSET else WENT, who))
    edges = []
    for edge, signs in sorted(holds.items()):
        kinds = {sign for sign, _ in signs}
        note = ", ".join(f"{'now' if sign == CAME else 'no longer'} held by {who}" for sign, who in signs)
        edges.append(Edge(*edge, kinds.pop() if len(kinds) == 1 else HELD, note))
    said = f"from seq {before.seq} to seq {after.seq}: {len(changes)} changes"
    return _figure(said, edges, [_change_text(change) for change in changes])


# --- words -----------------------------------------------------------------------------------------------------------


def _names(state: "GraphTables") -> dict["Owner", str]:
    named: dict[Owner, str] = {
        key: f'session {key} "{record.label}"' if record.label else f"session {key}"
        for key, record in state.sessions.items()
    }
    return {None: "persistent", **named}


def _holders(owners: Iterable["Owner"], names: Mapping["Owner", str]) -> str:
    return "held by " + ", ".join(names[owner] for owner in sorted(owners, key=lambda owner: owner or 0))


def _compared(
    edge: "EdgeKey",
    old: "frozenset[Owner] | None",
    new: "frozenset[Owner] | None",
    was: Mapping["Owner", str],
    now: Mapping["Owner", str],
) -> Edge:
    if new is None:
        return Edge(*edge, WENT, f"was {_holders(old or (), was)}")
    if old is None or old == new:
        return Edge(*edge, CAME if old is None else SAME, _holders(new, now))
    return Edge(*edge, HELD, f"now {_holders(new, now)}; was {_holders(old, was)}")


def _tally(signs: Iterable[str]) -> str:
    counted: dict[str, int] = {}
    for sign in signs:
        counted[sign] = counted.get(sign, 0) + 1
    return ", ".join(f"{counted[sign]} {_MEANING[sign]}" for sign in _MEANING if sign in counted) or "no edge changed"


def _change_text(change: Any) -> str:
    sign = CAME if change.before is UNSET else WENT if change.after is UNSET else HELD
    kind, *about = change.key
    return f"{sign} {kind} {' '.join('persistent' if part is None else str(part) for part in about)}"


# --- drawing ---------------------------------------------------------------------------------------------------------


def _figure(said: str, edges: list[Edge], lines: list[str]) -> str:
    text = "\n".join(_escaped(line) for line in lines[:LINES_MAX])
    if len(lines) > LINES_MAX:
        text += f"\n... {len(lines) - LINES_MAX} more"
    boxes = _boxes(edges)
    drawn = _svg(said, edges, boxes) if 0 < len(boxes) <= BOXES_MAX else ""
    is_open = "" if drawn else " open"
    legend = "".join(
        f'<span style="color:{_INKS[sign]}">{html.escape(sign)} {_MEANING[sign]}</span>&ensp;'
        for sign in _MEANING
        if any(edge.sign == sign for edge in edges)
    )
    return (
        f'<figure style="margin:0;font:11px monospace;overflow-x:auto">{drawn}'
        f"<figcaption>{_escaped(said)}&ensp;{legend}</figcaption>"
        f"<details{is_open}><summary>as text</summary><pre>{text}</pre></details></figure>"
    )


def _boxes(edges: list[Edge]) -> dict[str, list[str]]:
    """The topics below the components that they belong to, both in order of name."""
    topics = sorted({topic for edge in edges for topic in (edge.from_topic, edge.to_topic)})
    boxes: dict[str, list[str]] = {}
    for topic in topics:
        boxes.setdefault(_component(topic), []).append(topic)
    return boxes


def _component(topic: str) -> str:
    return topic.rpartition("/")[0] or topic


def _svg(said: str, edges: list[Edge], boxes: dict[str, list[str]]) -> str:
    arrows = [(_component(edge.from_topic), _component(edge.to_topic)) for edge in edges]
    found = layers(boxes, arrows)
    parts: list[str] = []
    ports: dict[str, Port] = {}
    bends: dict[int, Port] = {}
    x = bottom = 0.0
    for layer in found.layers:
        shown = [_cut(text) for box in layer if isinstance(box, str) for text in (box, *map(_leaf, boxes[box]))]
        width = max(map(len, shown)) * CHARACTER + 2 * PAD
        y = 0.0
        for place in layer:
            if isinstance(place, int):
                bends[place] = Port(x, x + width, y + ROW / 2)
                y += ROW
                continue
            height = ROW * (1 + len(boxes[place])) + PAD
            parts.append(_box(place, boxes[place], x, y, width, height))
            for row, topic in enumerate(boxes[place]):
                ports[topic] = Port(x, x + width, y + ROW * (row + 1.6))
            y += height + GAP_Y
        x += width + GAP_X
        bottom = max(bottom, y - GAP_Y)
    for edge, ends in zip(edges, arrows, strict=True):
        start, end = ports[edge.from_topic], ports[edge.to_topic]
        if ends[0] == ends[1]:
            path, tip = _inside(start, end), Tip(end.right, end.y, 6)
        elif ends in found.bends:
            path = _onward([start, *(bends[bend] for bend in found.bends[ends]), end])
            tip = Tip(end.left, end.y, -6)
        else:
            bottom += LANE
            path, tip = _back(start, end, bottom - LANE / 2), Tip(end.left, end.y, -6)
        parts.append(_arrow(edge, path, tip))
    width_, height_ = f"{x - GAP_X / 2:.0f}", f"{bottom + 2:.0f}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{width_}" height="{height_}" '
        f'viewBox="-1 -1 {width_} {height_}" font-family="monospace" font-size="11" fill="currentColor">'
        f"<title>{_escaped(said)}</title>{''.join(parts)}</svg>"
    )


def _box(name: str, topics: list[str], x: float, y: float, width: float, height: float) -> str:
    rows = "".join(
        f'<text x="{x + PAD:.1f}" y="{y + ROW * (row + 1.85):.1f}" fill-opacity="0.8"><title>{_escaped(topic)}</title>'
        f"{_escaped(_cut(_leaf(topic)))}</text>"
        for row, topic in enumerate(topics)
    )
    return (
        f'<g><rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="4" fill="currentColor" '
        f'fill-opacity="0.05" stroke="currentColor" stroke-opacity="0.4"/>'
        f'<text x="{x + PAD:.1f}" y="{y + ROW * 0.85:.1f}" font-weight="bold"><title>{_escaped(name)}</title>'
        f"{_escaped(_cut(name))}</text>{rows}</g>"
    )


def _onward(way: list[Port]) -> str:
    """The path from box to box, to the right, over its bends."""
    path = f"M{way[0].right:.1f},{way[0].y:.1f}"
    for before, after in pairwise(way):
        x1, x2 = before.right, after.left - (5 if after is way[-1] else 0)
        bend = max(GAP_X / 2, abs(x2 - x1) / 3)
        path += f" C{x1 + bend:.1f},{before.y:.1f} {x2 - bend:.1f},{after.y:.1f} {x2:.1f},{after.y:.1f}"
        if after is not way[-1]:
            path += f" L{after.right:.1f},{after.y:.1f}"
    return path


def _inside(start: Port, end: Port) -> str:
    """The path out of a box and into it again, at its right."""
    x = start.right
    return f"M{x:.1f},{start.y:.1f} C{x + 30:.1f},{start.y:.1f} {x + 30:.1f},{end.y:.1f} {x + 5:.1f},{end.y:.1f}"


def _back(start: Port, end: Port, floor: float) -> str:
    """The path to a box further left, below all boxes."""
    x1, x2, turn = start.right, end.left, GAP_X / 3
    return (
        f"M{x1:.1f},{start.y:.1f} C{x1 + turn:.1f},{start.y:.1f} {x1 + turn:.1f},{floor:.1f} {x1:.1f},{floor:.1f} "
        f"L{x2:.1f},{floor:.1f} C{x2 - turn:.1f},{floor:.1f} {x2 - turn:.1f},{end.y:.1f} {x2 - 5:.1f},{end.y:.1f}"
    )


def _arrow(edge: Edge, path: str, tip: Tip) -> str:
    sign = ""
    if edge.sign:
        at = f'x="{tip.x + 3 * tip.back - 4:.1f}" y="{tip.y - 4:.1f}"'
        style = f'font-weight="bold" font-size="14" fill="{_INKS[edge.sign]}"'
        sign = f"<text {at} {style}>{html.escape(edge.sign)}</text>"
    tooltip = f"{edge.sign} {edge.from_topic} -> {edge.to_topic} ({edge.note})".strip()
    x, y, back = tip
    return (
        f'<g><title>{_escaped(tooltip)}</title><path d="{path}" fill="none" {_STROKES[edge.sign]}/>'
        f'<path d="M{x + back:.1f},{y - 3:.1f} L{x:.1f},{y:.1f} L{x + back:.1f},{y + 3:.1f} Z" '
        f'fill="{_INKS[edge.sign]}"/>{sign}</g>'
    )


def _leaf(topic: str) -> str:
    return topic.rpartition("/")[2]


def _cut(text: str) -> str:
    text = _visible(text)
    return text if len(text) <= SHOWN_MAX else "..." + text[3 - SHOWN_MAX :]


def _escaped(text: str) -> str:
    return html.escape(_visible(text))


def _visible(text: str) -> str:
    """Control characters, and those that turn the direction of writing, as escapes."""
    return _UNSAFE.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)
