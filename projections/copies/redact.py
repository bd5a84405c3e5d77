"""A ledger without the values of some settings, in which everything else is as it was; and whether that is so."""

import base64
import os
import re
import time
from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from ezmsg.ledger.audit.source import Source
from ezmsg.ledger.audit.unnamed import Derived
from ezmsg.ledger.errors import LogError, OtherHistory, OtherLedger, UnknownSubject
from ezmsg.ledger.projections.copies.cut import Made, check_made, origin_of, path_of, receipt_of
from ezmsg.ledger.projections.copies.digests import MARKER, Salt
from ezmsg.ledger.projections.copies.pairs import DIFFERS_HINT, pairs
from ezmsg.ledger.projections.copies.redaction import Redaction
from ezmsg.ledger.projections.copies.setting_names import SettingNames
from ezmsg.ledger.projections.graph.checkpoint import encode
from ezmsg.ledger.projections.graph.replay import beginning, state_before
from ezmsg.ledger.projections.graph.segment_start import states_of
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.questions.name_hints import near
from ezmsg.ledger.reader import LedgerReader
from ezmsg.ledger.storage.disk import OS_DISK, Disk
from ezmsg.ledger.structural import REDACTED, Origin


class Redacted(Made, frozen=True, kw_only=True):
    """A ledger that ``redact`` has made: ``changed`` events of it differ from the original's; ``replaced`` counts the
    values in whose place a digest stands, and the pickles that are left out."""

    changed: int
    replaced: int


def redact(
    ledger: LedgerReader, settings: Sequence[str], target: str | os.PathLike[str], salt: Salt, disk: Disk = OS_DISK
) -> Redacted:
    """Write all of ``ledger`` into a new one, the file ``target``, without the values of ``settings``.

    ``settings`` are named as for SettingNames: ``RIG/SUBJECT.name``, ``*.initials``. In the place of each value stands
    its digest, keyed with ``salt``, wherever the value stands in the ledger; pickles that hold it are left out. Seqs,
    ids, times and all other lines stay as they are. See docs/FORMAT.md.

    Raises UnknownSubject when a name is that of no setting in the ledger, UnknownEvents when an event is of a newer
    version, ValueError when there is no event, DamagedLedger, LogError. Cost: two passes, and a verification.

    >>> from ezmsg.ledger import Ledger, events
    >>> from ezmsg.ledger.projections.copies.digests import Salt
    >>> value = events.SettingsValue(serialized=None, repr_value={"subject": "Ada L.", "gain": 2.0})
    >>> with Ledger.open("rig.ledger") as ledger:
    ...     process = ledger.append([events.ProcessOpened(uuid="p")])[0].seq
    ...     _ = ledger.append([events.SettingsUpdated(process=process, component="RIG", value=value)])
    ...     made = redact(ledger, ["*.subject"], "public.ledger", Salt.make())
    >>> made.changed, made.replaced, b"Ada" in open("public.ledger", "rb").read()
    (1, 1, False)
    """
    path, last = path_of(ledger), ledger.head
    before = beginning(ledger)
    if last <= before.seq:
        raise ValueError(f"{ledger.location} holds no event")
    source, now = Source(disk, path), time.time_ns()
    redaction = _learned(ledger, before, settings, salt, last)
    proof = source.prove(before.seq, last, now)
    origin = replace(
        _keyed(origin_of(REDACTED, proof, before.seq + 1, last), salt), redacted=redaction.names.patterns
    )
    origins = [*(_keyed(each, salt) for each in ledger.origins), origin]
    begin = redaction.state(before)
    changed = events = 0
    with Derived(disk, os.fspath(target), upto=before.seq, states=states_of(begin), origins=origins, now=now) as made:
        for found in source.commits(before.seq, last):
            lines = [redaction.line(event, line) for event, line in zip(found.events, found.lines, strict=True)]
            changed += sum(map(bytes.__ne__, lines, found.lines))
            events += len(lines)
            made.add(lines, found.events[-1].seq)
        made.seal()
        check_made(made.path, events).check()
        made.keep()
    return Redacted(
        path=made.target,
        id=made.header.id,
        first=origin.first,
        last=last,
        events=events,
        origin=origin,
        changed=changed,
        replaced=redaction.replaced,
    )


def _learned(ledger: LedgerReader, before: GraphState, settings: Sequence[str], salt: Salt, last: int) -> Redaction:
    """A redaction that knows all values that are to go. Raises UnknownSubject, UnknownEvents."""
    redaction = Redaction(SettingNames(settings), salt)
    redaction.learn_state(before)
    for event in ledger.entries(before.seq, last):
        redaction.learn(event)
    if unused := redaction.names.unused:
        problem = f"there is no setting {unused[0]} in {ledger.location}"
        raise UnknownSubject(problem, hint=near(unused[0], redaction.known, "settings"))
    redaction.ready()
    return redaction


def _keyed(origin: Origin, salt: Salt) -> Origin:
    """An origin without the plain digest of bytes that hold the values, which would give them away."""
    if origin.salt:
        return origin
    return replace(origin, size=0, sha256=salt.of_receipt(receipt_of(origin)), salt=salt.name)


# --- held beside the original ----------------------------------------------------------------------------------------


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """A redacted ledger was found to differ from its original in the named values alone.

    Of ``events`` lines, ``changed`` hold ``values`` different digests; the others are the same to the byte. ``salted``:
    the salt was at hand, so that each digest, and that of the original, was made anew and compared; without it only
    equal digests were seen to stand where equal values do. ``added``: events that were recorded since.
    """

    origin: Origin
    events: int
    changed: int
    values: int
    salted: bool
    added: int


def compare_redacted(
    ledger: LedgerReader, original: LedgerReader, salt: Salt | None = None, disk: Disk = OS_DISK
) -> Comparison:
    """Compare a ledger that ``redact`` has made with its original: only the named values may differ.

    The original is redacted again, line by line, and each line held beside the one that is there. Raises OtherLedger
    when it was not made of this one, OtherHistory where anything else differs, LogError when ``salt`` is another one
    than it was made with. Cost: two passes over the original, and one over ``ledger``.

    >>> from ezmsg.ledger import Ledger, events
    >>> from ezmsg.ledger.projections.copies.digests import Salt
    >>> from ezmsg.ledger.projections.copies.redact import redact
    >>> value = events.SettingsValue(serialized=None, repr_value={"subject": "Ada L.", "gain": 2.0})
    >>> with Ledger.open("rig.ledger") as ledger:
    ...     process = ledger.append([events.ProcessOpened(uuid="p")])[0].seq
    ...     _ = ledger.append([events.SettingsUpdated(process=process, component="RIG", value=value)])
    ...     _ = redact(ledger, ["*.subject"], "public.ledger", Salt.make())
    >>> with Ledger.open("public.ledger", "r") as public, Ledger.open("rig.ledger", "r") as ledger:
    ...     found = compare_redacted(public, ledger)
    >>> found.events, found.changed, found.values, found.salted
    (2, 1, 1, False)
    """
    origins = ledger.origins
    place = next((place for place in reversed(range(len(origins))) if origins[place].made == REDACTED), None)
    if place is None:
        hint = "Name a ledger that `ezmsg-ledger redact` has made."
        raise OtherLedger(f"{ledger.location} is not a ledger that values were taken out of", hint=hint)
    origin = origins[place]
    if origin.ledger != original.id:
        why = f"{ledger.location} was made of ledger {origin.ledger}, but {original.location} is {original.id}"
        raise OtherLedger(why, hint="")
    if salt is not None and salt.name != origin.salt:
        why = f"the salt is not the one that {ledger.location} was made with"
        raise LogError(why, hint=f"That one has the name {origin.salt}; this one {salt.name}.")
    if original.first > origin.first:
        raise OtherHistory(f"{original.location} begins with seq {original.first}: what was made of it begins earlier")
    if original.head < origin.last:
        raise OtherHistory(f"{original.location} ends with seq {original.head}, before seq {origin.last}")
    before = state_before(original, origin.first)
    redaction = _learned(original, before, origin.redacted, salt or Salt.make(), origin.last)
    theirs, ours = Source(disk, path_of(original)), Source(disk, path_of(ledger))
    if salt is not None:
        proof = theirs.prove(before.seq, origin.last, origin.time)
        if salt.of_receipt(proof) != origin.sha256:
            why = f"{original.location} has another digest than the ledger that was redacted, up to seq {origin.last}"
            raise OtherHistory(why, hint=DIFFERS_HINT)
    return _compared(ledger, original, origins[place:], redaction, ours, theirs, salted=salt is not None)


def _compared(
    ledger: LedgerReader,
    original: LedgerReader,
    origins: Sequence[Origin],
    redaction: Redaction,
    ours: Source,
    theirs: Source,
    *,
    salted: bool,
) -> Comparison:
    origin, last = origins[0], origins[-1].last
    twins = _Twins(known=salted)
    start = beginning(ledger)
    known = state_before(original, start.seq + 1)
    if not twins.fit(encode(start), encode(redaction.state(known))):
        why = f"{ledger.location} begins with another state than {original.location} had after seq {start.seq}"
        raise OtherHistory(why, hint=DIFFERS_HINT)
    events = changed = 0
    for pair in pairs(ours, theirs, start.seq, last):
        redacted = redaction.line(pair.event, pair.theirs)
        if not twins.fit(pair.ours, redacted):
            raise OtherHistory(
                f"seq {pair.seq} of {ledger.location} differs from {original.location} in more than the named values",
                hint=DIFFERS_HINT,
            )
        events += 1
        changed += redacted != pair.theirs
    return Comparison(
        origin=origin,
        events=events,
        changed=changed,
        values=len(twins),
        salted=salted,
        added=max(0, ledger.head - last),
    )


_PAYLOAD = re.compile(rb'(?<="payload":")[A-Za-z0-9+/]+={0,2}(?=")')


def _opened(line: bytes) -> bytes:
    """A line with the bytes of its payload in place of their base64, where a digest stands in them."""

    def bytes_of(match: re.Match[bytes]) -> bytes:
        content = base64.b64decode(match[0]) if len(match[0]) % 4 == 0 else b""
        return content if MARKER.search(content) else match[0]

    return _PAYLOAD.sub(bytes_of, line)


class _Twins:
    """The digests of two redactions of one ledger: each of the one goes with one of the other, wherever it stands.

    ``known``: both have the same salt, so that a digest goes with itself.
    """

    def __init__(self, *, known: bool) -> None:
        self._known = known
        self._ours: dict[bytes, bytes] = {}
        self._theirs: dict[bytes, bytes] = {}

    def __len__(self) -> int:
        return len(self._ours)

    def fit(self, ours: bytes, theirs: bytes) -> bool:
        """Whether two lines are the same but for their digests, and these go together as before."""
        ours, theirs = _opened(ours), _opened(theirs)
        if MARKER.sub(b"\0", ours) != MARKER.sub(b"\0", theirs):
            return False
        return all(self._go_together(*pair) for pair in zip(MARKER.findall(ours), MARKER.findall(theirs), strict=True))

    def _go_together(self, one: bytes, other: bytes) -> bool:
        if self._known and one != other:
            return False
        return self._ours.setdefault(one, other) == other and self._theirs.setdefault(other, one) == one
