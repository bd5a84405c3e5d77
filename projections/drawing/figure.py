"""Pictures of a state, of a difference and of a history for notebooks: a drawing, and all that is drawn as text."""

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from ezmsg.ledger.projections.drawing.drawing import Drawing
from ezmsg.ledger.projections.drawing.mask import CAME, HELD, SAME, WENT, Mask, Scene, compared, mask
from ezmsg.ledger.projections.drawing.svg import LINE_COLOURS, escaped, svg
from ezmsg.ledger.projections.drawing.union import Union
from ezmsg.ledger.projections.natural_order import natural_edge
from ezmsg.ledger.wording import count

if TYPE_CHECKING:
    from ezmsg.ledger.projections.graph.ownership import EdgeKey, Owner
    from ezmsg.ledger.projections.graph.state import GraphState
    from ezmsg.ledger.projections.graph.views.diff import Diff
    from ezmsg.ledger.projections.questions.timeline import Timeline

EDGES_MAX = 3_000
"""Edges of a picture: a notebook keeps it, about 300 bytes for each edge. The text is always there."""

LINES_MAX = 200
"""Lines of text below a picture."""

WIDE = 3_000
"""Pixels from which on a picture is made as wide as the page: its shape says more then than its names."""

_MEANING = {CAME: "came", WENT: "went", HELD: "held by others than before"}


def state_html(state: "GraphState") -> str:
    """The graph of a state, as HTML. Cost: that of its layout."""
    scene, notes = scene_of(state), _notes(state)
    edges = sorted(scene.edges, key=natural_edge)
    said = f"seq {state.seq}: {count(len(edges), 'edge')}, {count(len(state.sessions), 'session')}, "
    said += count(len(state.processes), "process", "processes")
    lines = [f"{source} -> {target}  ({notes[source, target]})" for source, target in edges]
    return _figure(said, components_of(state), edges, lambda document: mask(document, scene, notes), lines)


def compared_html(before: "GraphState", after: "GraphState") -> str:
    """Two states in one picture, as HTML: what came, what went, what is held by others. Cost: that of the layout."""
    old, new = dict(before.ownership.edges()), dict(after.ownership.edges())
    was, now = _names(before), _names(after)
    notes: dict[EdgeKey, str] = {}
    lines: list[str] = []
    counted: dict[str, int] = {}
    edges = sorted({*old, *new}, key=natural_edge)
    for edge in edges:
        sign, notes[edge] = _compared(old.get(edge), new.get(edge), was, now)
        if sign:
            counted[sign] = counted.get(sign, 0) + 1
            lines.append(f"{sign} {edge[0]} -> {edge[1]}  ({notes[edge]})")
    said = f"from seq {before.seq} to seq {after.seq}: {_tally(counted)}"
    components = [*components_of(before), *components_of(after)]
    scenes = scene_of(before), scene_of(after)
    return _figure(said, components, edges, lambda document: compared(document, *scenes, notes), lines, counted)


def diff_html(diff: "Diff") -> str:
    """The holds on edges that a difference gives and takes, drawn, and all of its changes as text. Cost: O(changes).

    A difference knows nothing of what stayed: ``compared_html`` of two states draws that as well.
    """
    holds: dict[EdgeKey, list[tuple[str, str]]] = {}
    components = []
    for change in diff.changes:
        if change.key[0] == "edge":
            _, from_topic, to_topic, owner = change.key
            who = "persistent" if owner is None else f"session {owner}"
            holds.setdefault((from_topic, to_topic), []).append((CAME if change.before is UNSET else WENT, who))
        elif change.key[0] == "component":
            components += [fact[1] for fact in (change.before, change.after) if fact is not UNSET]
    marks, notes = {}, {}
    edges = sorted(holds, key=natural_edge)
    for edge in edges:
        signs = {sign for sign, _ in holds[edge]}
        marks[edge] = signs.pop() if len(signs) == 1 else HELD
        notes[edge] = ", ".join(f"{'now' if sign == CAME else 'no longer'} held by {who}" for sign, who in holds[edge])
    said = f"from seq {diff.before.seq} to seq {diff.after.seq}: {len(diff.changes)} changes"

    def masked(document: Any) -> Mask:
        return Mask(
            dict.fromkeys(range(len(document.boxes)), SAME),
            {place: marks[edge] for place, edge in enumerate(document.edges)},
            {place: notes[edge] for place, edge in enumerate(document.edges)},
        )

    lines = [_change_text(change) for change in diff.changes]
    return _figure(said, components, edges, masked, lines, {mark: 1 for mark in marks.values()})


def timeline_html(timeline: "Timeline") -> str:
    """Draw all that ever lived in a ledger, as HTML: what is not there at its end is drawn faintly.

    A program takes away what it owns when it ends: where nothing is left, what was there before that counts. Cost: that
    of the layout, then also a pass over the events.
    """
    from ezmsg.ledger.projections.questions.moments.last_built import last_built

    state = timeline.at("end")
    drawing = timeline.drawing()
    edges, marks = drawing.union.edges, timeline.landmarks
    when = "now"
    if edges and not any(True for _ in state.ownership.edges()):
        state = timeline.at(last_built(timeline.ledger, state.seq))
        when = f"after seq {state.seq}, when it was last whole"
    notes = _notes(state)
    said = (
        f"{timeline.ledger.location}, seq {drawing.seq}: {count(len(edges), 'edge')} ever, {len(notes)} {when}; "
        f"{count(len(marks.sessions), 'session')}, {count(len(marks.runs), 'run')}, {count(len(marks.marks), 'mark')}"
    )
    lines = [f"{a} -> {b}  ({notes.get((a, b), 'not there')})" for a, b in edges]
    if not 0 < len(edges) <= EDGES_MAX:
        return _page("", 0, said, lines, {})
    document = drawing.document()
    return _page(svg(document, mask(document, scene_of(state), notes), said), document.width, said, lines, {})


def drawn_at(timeline: "Timeline", state: "GraphState", title: str) -> str:
    """Draw all that ever lived in a ledger as SVG; what is not in ``state`` is drawn faintly. Cost: of the layout."""
    document = timeline.drawing().document()
    return svg(document, mask(document, scene_of(state), _notes(state)), title)


def _notes(state: "GraphState") -> dict["EdgeKey", str]:
    names = _names(state)
    return {edge: _holders(owners, names) for edge, owners in state.ownership.edges()}


def scene_of(state: "GraphState") -> Scene:
    """The things that are there in a state. Cost: O(edges)."""
    return Scene(dict(state.ownership.edges()), set(state.components))


def components_of(state: "GraphState") -> list[Any]:
    """The forms of all components that are registered in a state."""
    return [form for each in state.registrations.values() for form in each.components.values()]


# --- words -----------------------------------------------------------------------------------------------------------


def _names(state: "GraphState") -> dict["Owner", str]:
    named: dict[Owner, str] = {
        key: f'session {key} "{record.label}"' if record.label else f"session {key}"
        for key, record in state.sessions.items()
    }
    return {None: "persistent", **named}


def _holders(owners: Iterable["Owner"], names: Mapping["Owner", str]) -> str:
    return "held by " + ", ".join(names[owner] for owner in sorted(owners, key=lambda owner: owner or 0))


def _compared(
    old: "frozenset[Owner] | None",
    new: "frozenset[Owner] | None",
    was: Mapping["Owner", str],
    now: Mapping["Owner", str],
) -> tuple[str, str]:
    if new is None:
        return WENT, f"was {_holders(old or (), was)}"
    if old is None or old == new:
        return CAME if old is None else SAME, _holders(new, now)
    return HELD, f"now {_holders(new, now)}; was {_holders(old, was)}"


def _tally(counted: Mapping[str, int]) -> str:
    return ", ".join(f"{counted[sign]} {_MEANING[sign]}" for sign in _MEANING if sign in counted) or "no edge changed"


def _change_text(change: Any) -> str:
    sign = CAME if change.before is UNSET else WENT if change.after is UNSET else HELD
    kind, *about = change.key
    return f"{sign} {kind} {' '.join('persistent' if part is None else str(part) for part in about)}"


# --- the page --------------------------------------------------------------------------------------------------------


def _figure(
    said: str,
    components: Iterable[Mapping[str, Any]],
    edges: Sequence["EdgeKey"],
    masked: Any,
    lines: Sequence[str],
    marks: Mapping[str, int] | None = None,
) -> str:
    if not 0 < len(edges) <= EDGES_MAX:
        return _page("", 0, said, lines, marks or {})
    document = Drawing(Union(components, edges)).document()
    return _page(svg(document, masked(document), said), document.width, said, lines, marks or {})


def _page(picture: str, width: int, said: str, lines: Sequence[str], marks: Mapping[str, int]) -> str:
    text = "\n".join(escaped(line) for line in lines[:LINES_MAX])
    if len(lines) > LINES_MAX:
        text += f"\n... {len(lines) - LINES_MAX} more"
    legend = "".join(
        f'<span style="color:{LINE_COLOURS[sign]}">{html.escape(sign)} {_MEANING[sign]}</span>&ensp;'
        for sign in _MEANING
        if sign in marks
    )
    if width > WIDE:
        picture = picture.replace("<svg ", '<svg style="width:100%;height:auto" ', 1)
    is_open = "" if picture else " open"
    return (
        f'<figure style="margin:0;overflow:auto">{picture}'
        f'<figcaption style="font:12px system-ui,sans-serif">{escaped(said)}&ensp;{legend}</figcaption>'
        f"<details{is_open}><summary>as text</summary><pre>{text}</pre></details></figure>"
    )
