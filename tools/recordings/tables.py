"""Tables of what made the samples of a recording, as rows of plain values: what is written into data files.

Times are on the recording's own axis, so that they can be laid on its samples as they stand; wall times are texts, for
they need more digits than a float has.
"""

import json
import math
from collections.abc import Iterator
from typing import Any

import msgspec

from ezmsg.ledger import __version__
from ezmsg.ledger import events as ev
from ezmsg.ledger.errors import InvalidValue, LedgerError
from ezmsg.ledger.events import type_of
from ezmsg.ledger.projections.questions.answers import Cause, HeldEdge
from ezmsg.ledger.receipt import Receipt, take
from ezmsg.ledger.tools.recordings.answer import FieldSpan, InForce
from ezmsg.ledger.tools.recordings.laid import Laid
from ezmsg.ledger.tools.text.event_words import Recollection
from ezmsg.ledger.values import thaw

Row = dict[str, Any]

EVENTS_MAX = 10_000
"""Rows of other events; what is left out is said."""

TOLD = (
    ev.SessionOpened, ev.SessionClosed, ev.ProcessRegistered, ev.ProcessClosed, ev.SubscriberStalled,
    ev.SubscriberRecovered, ev.GraphPaused, ev.GraphResumed, ev.GraphCleared, ev.ServerStarted, ev.ServerStopped,
    ev.ServerLost, ev.Gap,
)  # fmt: skip
"""The kinds of events that are rows of their own, beside settings, edges and marks."""


class Tables(msgspec.Struct, frozen=True):
    """The rows for a recording: spans of the fields that changed, those that did not, wiring, marks, other events.

    ``provenance``: what the rows were made of, by name; the receipt in it is what they can be checked against.
    """

    settings: list[Row]
    constant: list[Row]
    wiring: list[Row]
    marks: list[Row]
    events: list[Row]
    provenance: dict[str, str]


def tables_of(laid: Laid, answer: InForce, taken: int) -> Tables:
    """The tables of an answer about a recording; ``taken``: when (ns). Cost: that of a receipt, and O(events)."""
    first = answer.first_stamp
    events, left_out = _events(laid, answer)
    return Tables(
        settings=[_setting(span, first) for span in sorted(answer.changed, key=lambda span: (span.begin, span.unit))],
        constant=[_constant(name, value, answer) for name, value in answer.constant.items()],
        wiring=[
            {
                "start": each.begin + first,
                "stop": each.end + first,
                "edges": each.edges,
                "stood": _edges(each.stood),
                "came": _edges(each.came),
                "went": _edges(each.went),
                "cause": each.cause or "as before",
                "seq": each.seq,
                "wall_ns": str(each.wall_ns),
                "began_before": each.began_before,
                "went_on_after": each.went_on_after,
            }
            for each in answer.wiring
        ],
        marks=[
            {
                "timestamp": mark.time + first,
                "mark": mark.name,
                "note": mark.note or "",
                "author": mark.author or "",
                "source": mark.source or "",
                "seq": mark.seq,
                "wall_ns": str(mark.wall_ns),
            }
            for mark in answer.marks
        ],
        events=events,
        provenance=_provenance(laid, answer, taken, left_out),
    )


def _setting(span: FieldSpan, first: float) -> Row:
    return {
        "start": span.begin + first,
        "stop": span.end + first,
        "component": span.unit,
        "field": span.field,
        "value": value_json(span.value, span.note),
        "number": float(span.value) if type(span.value) in (int, float) else math.nan,
        "how": span.how,
        "asked_by": span.asked_by or "",
        "seq": span.seq,
        "wall_ns": str(span.wall_ns),
        "began_before": span.began_before,
        "went_on_after": span.went_on_after,
    }


def _constant(name: str, value: Any, answer: InForce) -> Row:
    unit = max((each for each in answer.owners if name == each or name.startswith(f"{each}.")), key=len, default="")
    field = name[len(unit) + 1 :] if unit else name
    return {
        "component": unit,
        "field": field,
        "value": value_json(value),
        "registered_by": answer.owners.get(unit) or "",
    }


def _edges(edges: list[HeldEdge]) -> str:
    """The edges as JSON text: a list of [from, to, [owner, ...]]."""
    return json.dumps([[edge.from_topic, edge.to_topic, edge.owners] for edge in edges], ensure_ascii=False)


def _events(laid: Laid, answer: InForce) -> tuple[list[Row], int]:
    past = Recollection(laid.timeline)
    found: list[Row] = []
    left_out = 0
    for event in _told(laid, answer):
        second = laid.second_of(event.seq)
        if second is None or not answer.begin <= second <= answer.end:
            continue
        if len(found) >= EVENTS_MAX:
            left_out += 1
            continue
        kind = type_of(event)
        text = past.tell(Cause(event.seq, event.time, kind, kind, kind))
        row = {"timestamp": second + answer.first_stamp, "kind": kind, "text": text}
        found.append({**row, "seq": event.seq, "wall_ns": str(event.time)})
    return found, left_out


def _told(laid: Laid, answer: InForce) -> Iterator[Any]:
    for batch in laid.timeline.ledger.read(answer.first, answer.last):
        yield from (event for event in batch if type(event) in TOLD)


def _provenance(laid: Laid, answer: InForce, taken: int, left_out: int) -> dict[str, str]:
    mapping = laid.mapping
    return {
        "ledger": answer.id,
        "receipt": receipt_text(laid, taken),
        "seqs": f"{answer.first} to {answer.last}",
        "clock": answer.sureness,
        "how": answer.how,
        "error_s": "" if answer.error is None else f"{answer.error:.9f}",
        "block_s": f"{answer.block:.9f}",
        "block_of": answer.block_of,
        "series": answer.series,
        "offsets": "" if mapping is None else json.dumps([[p.begin, p.end, str(p.shift)] for p in mapping.pieces]),
        "named_by": ", ".join(f"{link.unit}.{link.field}" for link in answer.named_by),
        "wrong_in_file": "; ".join(answer.clock_wrong),
        "not_known": "; ".join(answer.doubts),
        "events_left_out": str(left_out),
        "version": __version__,
    }


def receipt_text(laid: Laid, taken: int) -> str:
    """The receipt of the ledger as it is; "" where there is none: of a ledger that is not on a disk, or is damaged."""
    try:
        return take(laid.timeline.ledger.location, taken).text
    except LedgerError:
        return ""


def receipt_of(provenance: dict[str, str]) -> Receipt | None:
    """The receipt that tables were made with; None without one. Raises MalformedNote."""
    text = provenance.get("receipt", "")
    return Receipt.parse(text) if text else None


def value_json(form: Any, note: str | None = None) -> str:
    """A value as JSON text without any object, which checks of NWB do not like in a cell: maps are lists of pairs.

    ``note`` is taken in its place, a text, where the form does not show it: an array.

    >>> value_json(2.5), value_json({"a": [1, None]}), value_json({"$": "t", "v": [1, 2]})
    ('2.5', '[["a", [1, null]]]', '[1, 2]')
    """
    if note is not None:
        return json.dumps(note, ensure_ascii=False)
    try:
        return json.dumps(_plain(thaw(form)), ensure_ascii=False)
    except InvalidValue:  # of a newer version
        return json.dumps(str(form), ensure_ascii=False)


def _plain(value: Any) -> Any:
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        return value if math.isfinite(value) else str(value)
    if isinstance(value, dict):
        return [[_plain(key), _plain(item)] for key, item in value.items()]
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    return str(value)
