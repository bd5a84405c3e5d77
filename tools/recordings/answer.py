"""The answer to which settings and wiring made the samples of a recording: frozen, with ``to_dict`` for JSON.

Times are seconds since the first sample of the recording, unless a name ends in _ns: these are wall times since 1970.
"""

from typing import Any

from ezmsg.ledger.projections.questions.answers import Answer, HeldEdge
from ezmsg.ledger.tools.recordings.links import Link
from ezmsg.ledger.wording import count


class FieldSpan(Answer, frozen=True):
    """A value of one field from ``begin`` to ``end``, cut to what was asked about.

    ``value`` is its form, ``note`` says in words what the form does not show. ``seq`` is the event that it came with,
    at wall time ``wall_ns``; ``how`` as in SettingChange. The first sample that shows it lies between ``earliest`` and
    ``latest``. ``owner`` registered the component; ``asked_by`` asked for the change by ``request``; ``likely``: topics
    whose publishers may have sent it, where that is not on record. ``began_before`` and ``went_on_after``: it was cut.
    """

    unit: str
    field: str
    value: Any
    note: str | None
    begin: float
    end: float
    began_before: bool
    went_on_after: bool
    seq: int
    wall_ns: int
    how: str
    earliest: float
    latest: float
    process: int | None = None
    owner: str | None = None
    request: int | None = None
    asked_by: str | None = None
    likely: list[str] = []

    def __repr__(self) -> str:
        return f"<{self.unit}.{self.field} = {self.value!r} from {self.begin:.3f} to {self.end:.3f} s>"


class EdgeChange(Answer, frozen=True):
    """A stretch of unchanged wiring from ``begin`` to ``end``: how many edges, and what came and went before it."""

    begin: float
    end: float
    began_before: bool
    went_on_after: bool
    seq: int
    wall_ns: int
    edges: int
    came: list[HeldEdge]
    went: list[HeldEdge]
    stood: list[HeldEdge]
    cause: str


class MarkAt(Answer, frozen=True):
    """A mark of the ledger at ``time`` of the recording."""

    time: float
    seq: int
    wall_ns: int
    name: str
    note: str | None
    author: str | None
    source: str | None


class InForce(Answer, frozen=True):
    """The settings and the wiring that made a stretch of a recording, and how sure that is.

    ``begin`` to ``end`` is the stretch asked about, of ``length``; ``first_stamp`` is what the first sample has on the
    recording's own axis. ``sureness``: exact, by N markers, as the wall clock said, by the link only, not covered;
    ``error``: of the mapping (s), None where it is not known; ``how``: the way the clock was recognised. ``block``: the
    length of a block (s), by which samples may lag; ``block_of``: what tells it. ``named_by``: the settings that name
    this file; ``covered``: the stretches of the recording that the ledger covers, by run.

    ``constant``: the values, by ``UNIT.field``, that did not change in the stretch; ``changed``: the spans of all
    others; ``uncertain``: the changes so near an edge of the stretch that its samples may show them or not. ``first``
    and ``last`` are the seqs between which it lies. ``clock_wrong``: what is wrong with the time axis of the file
    itself; ``doubts``: what is not known.
    """

    data: str
    format: str
    series: str
    others: list[str]
    samples: int
    rate: float
    length: float
    first_stamp: float
    begin: float
    end: float
    ledger: str
    id: str
    sureness: str
    kind: str
    error: float | None
    how: str
    block: float
    block_of: str
    named_by: list[Link]
    covered: list[tuple[int, float, float]]
    first: int
    last: int
    constant: dict[str, Any]
    owners: dict[str, str | None]
    changed: list[FieldSpan]
    uncertain: list[FieldSpan]
    wiring: list[EdgeChange]
    marks: list[MarkAt]
    clock_wrong: list[str]
    doubts: list[str]

    def __repr__(self) -> str:
        fields = len({(span.unit, span.field) for span in self.changed})
        constant = count(len(self.constant), "constant setting")
        return f"<{self.data} {self.begin:g} to {self.end:g} s, {self.sureness}: {constant}, {fields} changed>"
