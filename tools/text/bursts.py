"""Start-up in a few lines: sentences of one kind that come close together are told as one.

Processes start side by side, so that what belongs together comes interleaved: all that comes without a pause
is held back, gathered by kind, and told in the order in which each kind began. Requests that only read are told in the
same way for as long as nothing else comes: an open dashboard sends some every second, for hours.
"""

from collections.abc import Callable, Iterable

import msgspec

from ezmsg.ledger.tools.output import listed
from ezmsg.ledger.tools.text.sentences import Sentence
from ezmsg.ledger.wording import count

FOLD_MIN = 4
"""Sentences of a kind from which on they become one; fewer are as quickly read one by one."""

QUIET_NS = 500_000_000
"""A pause of this length ends a burst. Processes of one pipeline start within it of each other."""

LONG_NS = 10_000_000_000
"""However busy a graph is, nothing is held back for longer."""

POLLS_NS = 600_000_000_000
"""Requests that only read are held back for as long as this: six lines an hour tell that a dashboard is open."""

HELD_MAX = 10_000
"""Nor are more sentences than this: a few megabytes."""

SHOWN_MAX = 3
"""Edges or components that a folded line names."""

ALONE = frozenset({"head", "warn", "bad", "name"})
"""Tones of sentences that nobody should have to look for: they end a burst and stand alone."""


class Line(msgspec.Struct, frozen=True):
    """A line of the log: one sentence, or several as one, from seq ``first`` to ``last``; ``time``: the first one's."""

    first: int
    last: int
    time: int
    type: str
    text: str
    tone: str


class Bursts:
    """Turns sentences into lines, each as soon as it is known what it will be."""

    def __init__(self, fold: bool = True) -> None:
        self._fold = fold
        self._held: list[Sentence] = []

    def add(self, sentence: Sentence) -> list[Line]:
        """The lines that are ready now that ``sentence`` has come."""
        if not self._fold:
            return [_alone(sentence)]
        if sentence.told.tone in ALONE:
            return [*self.flush(), _alone(sentence)]
        ready = self.flush() if self._held and self._is_over(sentence) else []
        self._held.append(sentence)
        return ready

    def flush(self) -> list[Line]:
        """The lines of all that was held back."""
        held, self._held = self._held, []
        return sorted(_gather(held), key=lambda line: line.first)

    @property
    def due(self) -> int | None:
        """The time (ns) from which on what is held back should be told; None when there is nothing."""
        held = self._held
        if not held:
            return None
        return held[0].time + POLLS_NS if _is_poll(held[0]) else held[-1].time + QUIET_NS

    def _is_over(self, sentence: Sentence) -> bool:
        held, time = self._held, sentence.time
        if len(held) >= HELD_MAX:
            return True
        if _is_poll(held[0]):  # then all of them are
            return not _is_poll(sentence) or not 0 <= time - held[0].time < POLLS_NS
        if _is_poll(sentence) or time - held[0].time > LONG_NS:
            return True
        return not 0 <= time - held[-1].time <= QUIET_NS


def _is_poll(sentence: Sentence) -> bool:
    burst = sentence.told.burst
    return burst is not None and burst[0] == "polls"


def _alone(sentence: Sentence) -> Line:
    told = sentence.told
    return Line(sentence.seq, sentence.seq, sentence.time, sentence.type, told.text, told.tone)


def _gather(held: list[Sentence]) -> Iterable[Line]:
    groups: dict[object, list[Sentence]] = {}
    for sentence in held:
        burst = sentence.told.burst
        if burst is None:
            yield _alone(sentence)
        else:
            groups.setdefault(burst[:2] if burst[0] in ("endpoints", "polls") else burst, []).append(sentence)
    for group in groups.values():
        kind = (group[0].told.burst or ("",))[0]
        if kind == "process":
            yield from map(_alone, group if group[-1].type == "process.opened" else group[-1:])
        elif len(group) < FOLD_MIN:
            yield from map(_alone, group)
        else:
            yield _together(group, _WORDS[kind](group))


def _together(group: list[Sentence], text: str) -> Line:
    first = group[0]
    return Line(first.seq, group[-1].seq, first.time, first.type, text, first.told.tone)


def _edges(group: list[Sentence]) -> str:
    _, verb, after, also = group[0].told.burst or ("", "", "", False)
    edges = list(dict.fromkeys(" -> ".join(sentence.told.words[:2]) for sentence in group))
    what = ", already held by others" if also else ""
    again = "" if len(edges) == len(group) else f", {count(len(group), 'time')} in all"
    return f"{verb} {count(len(edges), 'edge')}{again}{after}{what}: {listed(edges, SHOWN_MAX)}"


def _endpoints(group: list[Sentence]) -> str:
    kinds: dict[str, int] = {}
    for sentence in group:
        kind = (sentence.told.burst or ("", "", ""))[2]
        kinds[kind] = kinds.get(kind, 0) + 1
    order = [kind for kind in ("publisher", "subscriber", "channel") if kind in kinds]
    verb = (group[0].told.burst or ("", ""))[1]
    return f"{', '.join(count(kinds[kind], kind) for kind in order)} {verb}"


def _unchanged(group: list[Sentence]) -> str:
    verb = (group[0].told.burst or ("", ""))[1]
    components = list(dict.fromkeys(word for sentence in group for word in sentence.told.words))
    return (
        f"{verb} the settings of {count(len(components), 'component')}, as they were: {listed(components, SHOWN_MAX)}"
    )


def _polls(group: list[Sentence]) -> str:
    """Requests and their answers, by how often each unit was asked."""
    _, verb, _ = group[0].told.burst or ("", "", "")
    ends = [(sentence.told.burst or ("", "", ""))[2] for sentence in group]
    asked = ends.count("asked")
    units = list(dict.fromkeys(word for sentence in group for word in sentence.told.words))
    done = len(ends) - asked
    if not asked:
        return f"{verb} to {listed(units, SHOWN_MAX)}: {count(done, 'answer')}"
    answers = f", {done} of them answered" if 0 < done < asked else ", all answered" if done else ""
    return f"{verb} {count(asked, 'time')} to {listed(units, SHOWN_MAX)}{answers}"


_WORDS: dict[str, Callable[[list[Sentence]], str]] = {
    "edges": _edges,
    "endpoints": _endpoints,
    "unchanged": _unchanged,
    "polls": _polls,
}
