"""``path``: when messages could get from one topic to another."""

from itertools import pairwise
from typing import Annotated, Any

import msgspec
import typer

from ezmsg.ledger import events as ev
from ezmsg.ledger.projections.moments import Moment
from ezmsg.ledger.projections.state import GraphState
from ezmsg.ledger.projections.timeline import Timeline
from ezmsg.ledger.tools.documents import ledger_document, moment_document
from ezmsg.ledger.tools.known import known
from ezmsg.ledger.tools.lives import Life, asked_moment, lives, sound_events, spans_ns, tell_life, union
from ezmsg.ledger.tools.location import opened
from ezmsg.ledger.tools.page import Page, count
from ezmsg.ledger.tools.reach import reached, way_to
from ezmsg.ledger.tools.told import span_text
from ezmsg.ledger.tools.words import taken_apart

_USAGE = "ezmsg-ledger path [LEDGER] FROM TO, such as: ezmsg-ledger path run.ledger SYSTEM/AMP/OUT SYSTEM/LOG/IN"


class PathHistory(msgspec.Struct, frozen=True):
    """When there was a way from one topic to another: ``lives``, each with the last way it took.

    ``breaks``: how often it ended; ``existed_ns``: how long it was there in all. ``there``: whether it is at ``seq``.
    """

    from_topic: str
    to_topic: str
    through_units: bool
    seq: int
    there: bool
    breaks: int
    existed_ns: int
    lives: list[Life]

    def to_dict(self) -> dict[str, Any]:
        """The answer as builtins, as ``--json`` has it."""
        made: dict[str, Any] = msgspec.to_builtins(self)
        return made


def path_history(timeline: Timeline, a: str, b: str, moment: Moment, through_units: bool = False) -> PathHistory:
    """The history of the way from ``a`` to ``b`` up to a moment. Cost: O(events), and O(graph) for each change."""
    found = [
        life for life in lives(sound_events(timeline), _Watch(a, b, through_units)) if life.born <= moment.seq
    ]
    ended = sum(1 for life in found if life.died is not None and life.died <= moment.seq)
    there = any(life.at(moment.seq) for life in found)
    clipped = [life if not life.at(moment.seq) else msgspec.structs.replace(life, died=None, died_time=None, ended="")
               for life in found]  # fmt: skip
    return PathHistory(a, b, through_units, moment.seq, there, ended, spans_ns(union(clipped), moment.time), clipped)


class _Watch:
    """Looks for the way again only where it may be another: an edge of it is gone, or one came that leads on."""

    def __init__(self, a: str, b: str, through_units: bool) -> None:
        self._a = a
        self._b = b
        self._through = through_units
        self._came: dict[str, str | None] = {}
        self._way: list[str] | None = None
        self._found: dict[Any, str] = {}

    def __call__(self, state: GraphState, event: Any) -> dict[Any, str]:
        if self._may_differ(state, event):
            self._came = reached(state, self._a, self._through)
            self._way = way_to(self._b, self._came) if self._a != self._b else None
            self._found = {} if self._way is None else {True: " -> ".join(self._way)}
        return self._found

    def _may_differ(self, state: GraphState, event: Any) -> bool:
        cls = type(event)
        if cls is ev.EdgeConnected:
            return self._way is None and (event.from_topic in self._came or not self._came)
        if cls is ev.EdgeDisconnected or not self._through:
            return self._way is not None and not all(edge in state.ownership for edge in pairwise(self._way))
        return cls in WIRING


WIRING = frozenset(
    {
        ev.MetadataRegistered,
        ev.SessionCleared,
        ev.SessionClosed,
        ev.GraphCleared,
        ev.ServerStopped,
        ev.ServerLost,
    }
)
"""Events that can change many edges at once, or what units link."""


def path(
    words: Annotated[
        list[str],
        typer.Argument(metavar="[LEDGER] FROM TO", help="The ledger, and two topics.", show_default=False),
    ],
    at: Annotated[str, typer.Option(metavar="MOMENT", help="Up to this moment.")] = "end",
    through_units: Annotated[
        bool,
        typer.Option("--through-units", help="On from what a unit subscribes to, to what it publishes then."),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Says when there was a way for messages from one topic to another over edges, which one, how often it broke, by
    whose deed, and for how long it was there in all. A unit takes messages from one topic and publishes others: with
    --through-units the way goes on there.

    Examples:
      ezmsg-ledger path run.ledger SYSTEM/SOURCE/OUT SYSTEM/AMP/IN
      ezmsg-ledger path run.ledger SYSTEM/AMP/OUT SCOPE/COPY --at mark:baseline
    """
    page = Page()
    path_, asked = taken_apart(words, 2, 2, "two topics are needed", _USAGE)
    with opened(path_, page) as source:
        timeline = Timeline(source)
        there = known(source)
        for topic in asked:
            if topic not in there.topics:
                raise there.missing("topic", topic, there.topics)
        moment = asked_moment(timeline, at)
        answer = path_history(timeline, asked[0], asked[1], moment, through_units)
        if json:
            page.document({**ledger_document(timeline), "moment": moment_document(moment), **answer.to_dict()})
        else:
            _print(page, timeline, answer, moment)
        if timeline.damage is not None:
            raise timeline.damage


def _print(page: Page, timeline: Timeline, answer: PathHistory, moment: Moment) -> None:
    state = "there is a way" if answer.there else "there is no way"
    page.line(("head", f"at seq {answer.seq} {state} from {answer.from_topic} to {answer.to_topic}"))
    if answer.lives:
        length = span_text(answer.existed_ns)
        times, breaks = count(len(answer.lives), "time"), count(answer.breaks, "time")
        page.line(f"it was there {times}, broke {breaks}, for {length} in all")
    for life in answer.lives:
        tell_life(page, timeline, life, moment)
    if not answer.lives and not answer.through_units:
        if path_history(timeline, answer.from_topic, answer.to_topic, moment, True).lives:
            page.line("nor was there ever one over edges alone; there was through units (--through-units)")
        else:
            page.line("nor was there ever one")
