"""Two baselines side by side: each difference in names, with the event that made it so."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from itertools import pairwise
from typing import Any

from msgspec.structs import replace

from ezmsg.ledger.errors import UnknownSubject
from ezmsg.ledger.projections.lifetimes.columns import Fact, Hold
from ezmsg.ledger.projections.natural_order import natural, natural_edge
from ezmsg.ledger.projections.questions.answers import Answer, Cause
from ezmsg.ledger.projections.questions.baselines.baseline import Baseline, baseline_of
from ezmsg.ledger.projections.questions.baselines.plain_form import same_plain
from ezmsg.ledger.projections.questions.evidence import Evidence
from ezmsg.ledger.projections.questions.moments.moments import Moment
from ezmsg.ledger.projections.questions.settings.history import setting
from ezmsg.ledger.values import Form

GROUPS = ("edges", "components", "settings", "processes", "loops")

MISSING, EXTRA, CHANGED = "missing", "extra", "changed"


class Difference(Answer, frozen=True):
    """A difference of a session from its baseline.

    ``group`` is one of GROUPS; ``name``: an edge as ``A -> B``, an address, units or topics. ``field``: the dotted path
    of a setting or of a component's metadata, "" for the whole. ``change``: missing, extra or changed. ``expected`` and
    ``found``: the values, None where there is none. ``why``: the event that made it so, None where none is known;
    ``asked_by``: the label or id of the session that asked for a setting. ``names``: what ``ignore`` is held against.
    """

    group: str
    name: str
    field: str
    change: str
    expected: Form
    found: Form
    names: list[str]
    why: Cause | None = None
    asked_by: str | None = None

    def __repr__(self) -> str:
        what = f"{self.name}{f' {self.field}' if self.field else ''}"
        return f"<{self.group} {what} {self.change}: {self.expected!r}, here {self.found!r}>"


class Likeness(Answer, frozen=True):
    """A session beside its baseline, at ``moment``. ``ignored``: how many differences were not to be compared.

    ``loops``: the ways on which a relay gets back what it sends, those that the baseline has too. ``unmatched``: the
    patterns of ``ignore``, without those of the baseline, after which nothing is called in either of the two.
    """

    moment: Moment
    differences: list[Difference]
    ignored: int
    loops: list[list[str]]
    unmatched: list[str]

    @property
    def same(self) -> bool:
        """Whether there is no difference."""
        return not self.differences

    def __repr__(self) -> str:
        said = f"{len(self.differences)} differences" if self.differences else "as the baseline"
        return f"<seq {self.moment.seq}: {said}>"


def differences(expected: Baseline, found: Baseline) -> list[Difference]:
    """Every difference of ``found`` from ``expected``, in the order of GROUPS, by name. Cost: O(both)."""
    return [
        *_edges(expected, found),
        *_entries("components", expected.components, found.components),
        *_settings(expected, found),
        *_processes(expected, found),
        *_loops(expected, found),
    ]


def check(evidence: Evidence, expected: Baseline, moment: Moment, ignore: Sequence[str] = ()) -> Likeness:
    """See ``Timeline.check``."""
    found = baseline_of(evidence.at(moment.seq))
    every = differences(expected, found)
    patterns = [*expected.ignore, *ignore]
    wanted = [each for each in every if not _is_ignored(each, patterns)]
    told = [_explained(evidence, each, moment) for each in wanted]
    return Likeness(moment, told, len(every) - len(wanted), found.loops, unmatched(ignore, expected, found))


def unmatched(patterns: Iterable[str], *baselines: Baseline) -> list[str]:
    """The patterns that no group, name or ``UNIT.field`` of these baselines matches: misspelled, perhaps.

    Cost: O(patterns x names).
    """
    names = {name for baseline in baselines for name in _names(baseline)}
    return [pattern for pattern in patterns if not any(fnmatchcase(name, pattern) for name in names)]


def _names(baseline: Baseline) -> Iterator[str]:
    """All that a difference of a baseline could be named by: see ``Difference.names``."""
    yield from GROUPS
    for here, there in _pairs(baseline):
        yield from (here, there, f"{here} -> {there}")
    for table, top in ((baseline.components, ""), (baseline.settings, "fields.")):
        for name, entry in table.items():
            yield name
            yield from (f"{name}.{path.removeprefix(top)}" for path in _paths(entry))
    for group in (*baseline.processes, *baseline.loops):
        yield from group


def _paths(form: Form, path: str = "") -> Iterator[str]:
    """The dotted paths of all fields of a form."""
    if type(form) is dict:
        for name, inner in form.items():
            here = f"{path}.{name}" if path else name
            yield here
            yield from _paths(inner, here)


def _is_ignored(difference: Difference, patterns: Iterable[str]) -> bool:
    names = [difference.group, *difference.names]
    return any(fnmatchcase(name, pattern) for pattern in patterns for name in names)


def _change(expected: Form, found: Form) -> str:
    return EXTRA if expected is None else MISSING if found is None else CHANGED


# --- by group ---------------------------------------------------------------------------------------------------------


def _edges(expected: Baseline, found: Baseline) -> Iterator[Difference]:
    old, new = _pairs(expected), _pairs(found)
    for edge in sorted({*old, *new}, key=natural_edge):
        before, after = old.get(edge), new.get(edge)
        if before != after:
            name = " -> ".join(edge)
            yield Difference("edges", name, "", _change(before, after), before, after, [*edge, name])


def _pairs(baseline: Baseline) -> dict[tuple[str, str], list[str]]:
    return {(here, there): owners for here, targets in baseline.edges.items() for there, owners in targets.items()}


def _entries(group: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[Difference]:
    """Differences of entries that are maps: of one that both have, each field that differs."""
    for name in sorted({*old, *new}, key=natural):
        if name not in old or name not in new:
            yield Difference(group, name, "", MISSING if name in old else EXTRA, old.get(name), new.get(name), [name])
            continue
        for path, before, after in _fields(old[name], new[name]):
            yield Difference(group, name, path, CHANGED, before, after, [name, f"{name}.{path}"])


_ABSENT = object()


def _fields(old: Form, new: Form, path: str = "") -> Iterator[tuple[str, Form, Form]]:
    """The leaves in which two forms differ: their dotted paths, and both values (None where one is not there)."""
    if type(old) is dict and type(new) is dict and old.get("$") == new.get("$") and not {"digest", "v"} & old.keys():
        for name in sorted({*old, *new}):
            inner = f"{path}.{name}" if path else name
            before, after = old.get(name, _ABSENT), new.get(name, _ABSENT)
            if before is _ABSENT or after is _ABSENT:
                yield inner, None if before is _ABSENT else before, None if after is _ABSENT else after
            else:
                yield from _fields(before, after, inner)
    elif not same_plain(old, new):
        yield path, old, new


def _settings(expected: Baseline, found: Baseline) -> Iterator[Difference]:
    for each in _entries("settings", expected.settings, found.settings):
        field = each.field.removeprefix("fields.")
        yield replace(each, field=field, names=[each.name, f"{each.name}.{field}"] if field else [each.name])


def _processes(expected: Baseline, found: Baseline) -> Iterator[Difference]:
    """Units that run in no process, those that should not, and those that went from one process to another."""
    old, new = (Counter(unit for units in each.processes for unit in units) for each in (expected, found))
    for unit in sorted(old.keys() ^ new.keys(), key=natural):
        change = MISSING if unit in old else EXTRA
        yield Difference("processes", unit, "", change, unit in old or None, unit in new or None, [unit])
    common = old.keys() & new.keys()
    were, are = ([common.intersection(units) for units in each.processes] for each in (expected, found))
    for unit in _moved(were, are):
        before, after = _beside(unit, were), _beside(unit, are)
        yield Difference("processes", unit, "", CHANGED, before, after, [unit])


def _beside(unit: str, processes: list[set[str]]) -> list[str]:
    return sorted({other for units in processes if unit in units for other in units} - {unit}, key=natural)


def _moved(were: list[set[str]], are: list[set[str]]) -> list[str]:
    """The units that no longer share a process with those they did, so few of them as may be.

    The idea: each process of today is taken for the one of before with which it shares most units, and which is not yet
    taken; units that it has from elsewhere have moved.
    """
    pairs = [(-len(new & old), sorted(new), place) for new in are for place, old in enumerate(were) if new & old]
    stands: dict[int, list[str]] = {}
    for _, units, place in sorted(pairs):
        if place not in stands and units not in stands.values():
            stands[place] = units
    stayed = {unit for place, units in stands.items() for unit in were[place].intersection(units)}
    return sorted({unit for units in are for unit in units} - stayed, key=natural)


def _loops(expected: Baseline, found: Baseline) -> Iterator[Difference]:
    old, new = ({frozenset(loop): loop for loop in each.loops} for each in (expected, found))
    for key in sorted(old.keys() ^ new.keys(), key=sorted):
        before, after = old.get(key), new.get(key)
        loop = before or after or []
        yield Difference("loops", loop[0], "", _change(before, after), before, after, loop)


# --- why --------------------------------------------------------------------------------------------------------------


def _explained(evidence: Evidence, difference: Difference, moment: Moment) -> Difference:
    """A difference with the event that made it so, up to ``moment``."""
    if difference.group == "settings":
        return _asked(evidence, difference, moment)
    return replace(difference, why=_cause(evidence, _facts(evidence, difference), moment))


def _facts(evidence: Evidence, difference: Difference) -> list[Hold] | list[Fact]:
    lifetimes = evidence.lifetimes
    if difference.group in ("edges", "loops"):
        topics = difference.names if difference.group == "loops" else difference.names[:2]
        pairs = pairwise(topics)
        return [hold for edge in pairs for hold in lifetimes.holds_on(edge)]
    kind = "component" if difference.group == "components" else "unit"
    units = difference.names[:1] if difference.group == "components" else difference.names
    return [fact for unit in units for fact in lifetimes.facts(kind, unit)]


def _cause(evidence: Evidence, facts: Sequence[Hold | Fact], moment: Moment) -> Cause | None:
    """The last thing that happened to any of these facts up to ``moment``."""
    ends = [(fact.born, fact, False) for fact in facts if fact.born <= moment.seq]
    ends += [(fact.died, fact, True) for fact in facts if fact.died <= moment.seq]
    if not ends:
        return None
    seq, fact, end = max(ends, key=lambda each: (each[0], not each[2]))
    return evidence.cause(seq, "edge" if isinstance(fact, Hold) else fact.kind, end)


def _asked(evidence: Evidence, difference: Difference, moment: Moment) -> Difference:
    """A difference of a setting with the event that set the field last, and who asked for it."""
    top = difference.field.partition(".")[0] or None
    try:
        changes = setting(evidence, difference.name, None, moment, False).changes
    except UnknownSubject:
        return difference
    of_field = [
        each for each in changes if top is None or any(_top(one.path) == top for one in each.fields) or not each.fields
    ]
    last = next(iter((of_field or changes)[::-1]), None)
    if last is None:
        return difference
    gone = difference.change == MISSING and last.went is not None and last.went.seq <= moment.seq
    asked = None if last.asked_by is None or gone else last.label or str(last.asked_by)
    return replace(difference, why=last.went if gone else last.came, asked_by=asked)


def _top(path: str) -> str:
    return path.partition(".")[0]
