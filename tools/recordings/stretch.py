"""The settings and the wiring that made a stretch of a recording: see ``answer.InForce``."""

from pathlib import Path
from typing import Any

from msgspec.structs import replace

from ezmsg.ledger import events as ev
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.questions.answers import FieldChange, SettingChange, SettingsOver
from ezmsg.ledger.projections.questions.settings.stored_value import Kept, kept, leaves, shown_form
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.tools.exits import Misuse
from ezmsg.ledger.tools.recordings.answer import EdgeChange, FieldSpan, InForce, MarkAt
from ezmsg.ledger.tools.recordings.clocks.clock_mapping import SECOND
from ezmsg.ledger.tools.recordings.lag import Block, HeldUp, block_of, held_up, window
from ezmsg.ledger.tools.recordings.laid import Laid
from ezmsg.ledger.tools.recordings.recording import read
from ezmsg.ledger.tools.text.value_text import kept_text
from ezmsg.ledger.wording import count, seqs_text

MARGIN_NS = 3 * SECOND
"""How far around a stretch changes are looked for that its samples may show."""

BY_LINK = "what names this file tells which part of the ledger it is of"
NOT_PLACED = "neither its clock nor a name tells which part of the ledger it is of"

GIVEN = "given"
"""The source of the length of a block, where somebody gave it."""


def in_force(
    data: str | Path,
    ledger: str | Path,
    begin: float | None = None,
    end: float | None = None,
    *,
    series: str | None = None,
    block: float | None = None,
) -> InForce:
    """The settings and wiring of ``ledger`` that made the samples of a data file from second ``begin`` to ``end``.

    Seconds count from the first sample; None: from its first, to its last. ``series``: which one, of several;
    ``block``: the length of a block of samples (s), where the settings do not tell. Raises NotARecording, NoSamples,
    MissingExtra, Misuse for a stretch that the file has not, and what opening a ledger does.

    Cost: that of the state at the stretch, and a piece of the ledger for each change; a NWB file is looked at here and
    there, an XDF file is read.

    >>> from ezmsg.ledger import LedgerError
    >>> try:
    ...     print(in_force("monday.nwb", "monday.ledger", 120, 180).changed)
    ... except LedgerError as error:
    ...     print(error)
    there is no file monday.nwb
    """
    recording = read(Path(data), series)
    with Ledger.open(ledger, "r") as opened:
        return answer(Laid(recording, Timeline(opened)), begin, end, block)


def answer(laid: Laid, begin: float | None = None, end: float | None = None, block: float | None = None) -> InForce:
    """The answer of ``in_force``, of a recording laid beside a ledger. Raises Misuse for a stretch that it has not."""
    begin, end = _stretch(laid, begin, end)
    if laid.mapping is None:
        return _by_link(laid, begin, end, block)
    return Stretch(laid, begin, end, block).answer()


def _stretch(laid: Laid, begin: float | None, end: float | None) -> tuple[float, float]:
    length = laid.length
    begin, end = 0.0 if begin is None else begin, length if end is None else end
    has = f"it has seconds 0 to {length:.3f}"
    if not begin < end:
        raise Misuse(f"second {begin:g} is not before second {end:g}", hint=f"Of {laid.recording.path.name}: {has}.")
    if begin >= length or end <= 0:
        raise Misuse(
            f"{laid.recording.path.name} has no seconds {begin:g} to {end:g}",
            hint=f"Seconds count from the first sample: {has}.",
        )
    return max(0.0, begin), min(end, length)


class Stretch:
    """A stretch of a recording, from second ``begin`` to ``end``, and what the ledger has of it."""

    def __init__(self, laid: Laid, begin: float, end: float, block: float | None) -> None:
        self.laid, self.begin, self.end = laid, begin, end
        self.timeline = laid.timeline
        clock = laid.clock
        self.place_begin, self.place_end = laid.place(begin), laid.place(end)
        self.first, self.last = clock.seq_at(self.place_begin), clock.seq_at(self.place_end)
        around = clock.seq_at(self.place_begin - MARGIN_NS), clock.seq_at(self.place_end + MARGIN_NS)
        self.settings: SettingsOver = self.timeline.settings_over(*around)
        self.block: Block = block_of(_shown(self.settings), block)
        requests = self.timeline.lifetimes.facts_over("request", *around)
        reports = [(change.process, change.seq) for _, change in self.settings.changes if change.process is not None]
        self.held_up: list[HeldUp] = held_up(requests, reports, clock.place, self.block, self._answers)

    def _answers(self, seq: int) -> bool:
        """Whether a process answered a request with event ``seq``, and it did not end in another way."""
        event = next(iter(self.timeline.ledger.entries(seq - 1)), None)
        return type(event) is ev.RequestAnswered and event.ok

    def answer(self) -> InForce:
        """The whole answer."""
        spans, uncertain = self._spans()
        changed = {(span.unit, span.field) for span in spans if not (span.began_before and span.went_on_after)}
        changed |= {(span.unit, span.field) for span in spans if span.end < self.end or span.begin > self.begin}
        steady = [span for span in spans if (span.unit, span.field) not in changed]
        constant = {f"{span.unit}.{span.field}".rstrip("."): span.value for span in steady}
        for unit, value in self.settings.constant.items():
            for path, item in leaves(kept(value)).items():
                constant[f"{unit}.{path}".rstrip(".")] = _form(item)
        return _answer(
            self.laid,
            self.begin,
            self.end,
            self.block,
            first=self.first,
            last=self.last,
            constant=dict(sorted(constant.items())),
            owners={unit: self._name(owner) for unit, owner in self.settings.owners.items()},
            changed=[span for span in spans if (span.unit, span.field) in changed],
            uncertain=uncertain,
            wiring=self._wiring(),
            marks=self._marks(),
            doubts=self._doubts(),
        )

    # --- settings ----------------------------------------------------------------------------------------------------

    def _spans(self) -> tuple[list[FieldSpan], list[FieldSpan]]:
        """The spans of the fields of all units that changed around the stretch, and the changes near its edges."""
        open_: dict[tuple[str, str], FieldSpan] = {}
        done: list[FieldSpan] = []
        uncertain: list[FieldSpan] = []
        for unit, value in self.settings.before.items():
            for path, item in leaves(kept(value)).items():
                open_[unit, path] = self._before(unit, path, item)
        for unit, change in self.settings.changes:
            place = self.laid.clock.place(change.seq)
            if place is None:
                continue
            second = self.laid.second(place)
            early, late = self._window(change, place)
            fields = change.fields
            if change.how == "gone":
                held = [(path, span) for (name, path), span in open_.items() if name == unit]
                fields = [FieldChange(path, span.value, None, missing="after") for path, span in held]
            for field in fields:
                key = (unit, field.path)
                new = self._came(unit, field, change, second, early, late)
                if any(self.laid.second(early) < edge < self.laid.second(late) for edge in (self.begin, self.end)):
                    uncertain.append(new)
                if second > self.end:
                    continue
                before = open_.pop(key, None)
                if before is not None and second > self.begin:
                    done.append(replace(before, end=second, went_on_after=False))
                if field.missing != "after":
                    open_[key] = new
        done += open_.values()
        done.sort(key=lambda span: (span.unit, span.field, span.begin))
        return [span for span in done if span.begin < span.end], uncertain

    def _before(self, unit: str, path: str, item: Kept) -> FieldSpan:
        """The span of a value that stood before the stretch."""
        owner = self._name(self.settings.owners.get(unit))
        return FieldSpan(
            unit, path, _form(item), _note(item), self.begin, self.end, True, True, self.settings.first,
            self.laid.time_of(self.settings.first), "earlier", self.begin, self.begin, owner=owner,
        )  # fmt: skip

    def _came(
        self, unit: str, field: FieldChange, change: SettingChange, second: float, early: int, late: int
    ) -> FieldSpan:
        """The span that begins with a change, up to the end of the stretch."""
        begin = max(self.begin, second)
        return FieldSpan(
            unit=unit, field=field.path, value=field.after, note=field.note, begin=begin, end=self.end,
            began_before=second <= self.begin, went_on_after=True, seq=change.seq, wall_ns=change.time, how=change.how,
            earliest=self.laid.second(early), latest=self.laid.second(late), process=change.process,
            owner=self._name(self.settings.owners.get(unit)), request=change.request, asked_by=change.label,
            likely=sorted({each.topic for each in change.likely}),
        )  # fmt: skip

    def _window(self, change: SettingChange, place: int) -> tuple[int, int]:
        asked = None if change.request is None else self.laid.clock.place(change.request)
        return window(change.process, asked, place, self.block, self.held_up)

    # --- wiring and marks --------------------------------------------------------------------------------------------

    def _wiring(self) -> list[EdgeChange]:
        found = []
        spans = self.timeline.wiring_over(self.first, self.last)
        turns = [self.laid.second_of(span.born) for span in spans[1:]]
        for span, begin, after in zip(spans, [self.begin, *turns], [*turns, self.end], strict=True):
            if begin is None or after is None:
                continue
            begin, after = max(self.begin, begin), min(self.end, after)
            if begin < after:
                cause = "" if span.cause is None else span.cause.text
                cut = (span.cause is None, span.last >= self.last)
                when = (span.born, self.laid.time_of(span.born))
                found.append(EdgeChange(begin, after, *cut, *when, span.edges, span.came, span.went, span.stood, cause))
        return found

    def _marks(self) -> list[MarkAt]:
        found = []
        for mark in self.timeline.landmarks.marks:
            place = self.laid.mark_place(mark)
            if place is not None and self.place_begin <= place <= self.place_end:
                wall = mark.time if mark.happened is None else mark.happened
                found.append(
                    MarkAt(self.laid.second(place), mark.seq, wall, mark.name, mark.note, mark.author, mark.source)
                )
        return sorted(found, key=lambda mark: mark.time)

    # --- doubts ------------------------------------------------------------------------------------------------------

    def _doubts(self) -> list[str]:
        laid, doubts = self.laid, []
        near = [(run, a, b) for run, a, b in laid.covered if a < self.end and b > self.begin]
        if laid.covered and sum(
            min(b, self.end) - max(a, self.begin) for _, a, b in near
        ) < self.end - self.begin - max(0.001, laid.recording.axis.period):
            doubts.append("the ledger does not cover all of these seconds")
        for gap in self.timeline.landmarks.gaps:
            if gap.first <= self.last and gap.last >= self.first:
                lost = f"{count(gap.lost, 'event')} lost" if gap.lost else "written late"
                doubts.append(f"the recorder could not write {seqs_text(gap.first, gap.last)} at once ({lost})")
        for each in self.held_up:
            begin, end = laid.second(each.begin), laid.second(each.end)
            if begin < self.end and end > self.begin:
                doubts.append(
                    f"process {each.process} was held up between seconds {begin:.3f} and {end:.3f} (a request waited "
                    f"{each.took / 1e6:.0f} ms): samples may show its changes as much earlier"
                )
        doubts += self._other_hosts()
        reported = [change for _, change in self.settings.changes if change.how == "updated"]
        if reported:
            doubts.append("a report says that a value arrived, not that the unit took it: settings --doubts has more")
        return doubts

    def _other_hosts(self) -> list[str]:
        hosts = {fact.value[1] for fact in self.timeline.lifetimes.facts_over("process", self.first, self.last)}
        others = sorted(host for host in hosts if host and self.laid.clock.host and host != self.laid.clock.host)
        if not others:
            return []
        return [f"units ran on other hosts ({', '.join(others)}): if their clocks made the stamps, this does not hold"]

    def _name(self, owner: int | None) -> str | None:
        if owner is None:
            return None
        session = self.timeline.landmarks.sessions.get(owner)
        label = None if session is None else session.label or session.peer
        return f'{owner} "{label}"' if label else str(owner)


def _shown(settings: SettingsOver) -> list[tuple[str, Any]]:
    """Each unit with the form of each value that it had."""
    stood = [*settings.constant.items(), *settings.before.items()]
    found = [(unit, shown_form(value)) for unit, value in stood]
    return [*found, *((unit, change.value) for unit, change in settings.changes)]


def _form(item: Kept) -> Any:
    return item.form


def _note(item: Kept) -> str | None:
    """Of an array, its kind and first elements: its shown form may be abbreviated."""
    return None if item.array is None else kept_text(item)


def _answer(laid: Laid, begin: float, end: float, block: Block, *, doubts: list[str], **parts: Any) -> InForce:
    recording, mapping = laid.recording, laid.mapping
    assumed = GIVEN if block.given else "assumed: no setting tells"
    return InForce(
        data=str(recording.path),
        format=recording.format,
        series=recording.series,
        others=recording.others,
        samples=recording.axis.count,
        rate=recording.axis.rate,
        length=laid.length,
        first_stamp=recording.axis.begin,
        begin=begin,
        end=end,
        ledger=laid.timeline.ledger.location,
        id=laid.timeline.ledger.id,
        sureness=laid.sureness,
        kind="link" if mapping is None else mapping.kind,
        error=None if mapping is None or mapping.error is None else mapping.error / SECOND,
        how=mapping.how if mapping is not None else BY_LINK if laid.links else NOT_PLACED,
        block=block.seconds,
        block_of=block.setting or assumed,
        named_by=laid.links,
        covered=laid.covered,
        clock_wrong=laid.clock_wrong,
        doubts=[*laid.doubts, *doubts],
        **parts,
    )


def _by_link(laid: Laid, begin: float, end: float, block: float | None) -> InForce:
    """The answer where the file cannot be placed: the settings that never changed while one of them named it."""
    timeline = laid.timeline
    constant: dict[str, Any] = {}
    owners: dict[str, str | None] = {}
    doubts = []
    first = last = 0
    if laid.links:
        link = laid.links[0]
        head = timeline.landmarks.seq
        first, last = link.born, head if link.last is None else link.last
        over = timeline.settings_over(first, last)
        for unit, value in over.constant.items():
            constant |= {f"{unit}.{path}".rstrip("."): _form(item) for path, item in leaves(kept(value)).items()}
        changed = sorted({unit for unit, _ in over.changes})
        if changed:
            when = f"at some time in {seqs_text(first, last)}, which cannot be laid beside the file"
            doubts.append(f"{', '.join(changed)} changed {when}")
    return _answer(
        laid, begin, end, block_of([], block), first=first, last=last, constant=dict(sorted(constant.items())),
        owners=owners, changed=[], uncertain=[], wiring=[], marks=[], doubts=doubts,
    )  # fmt: skip
