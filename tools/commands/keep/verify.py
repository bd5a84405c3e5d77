"""``verify``: whether a ledger is as it was written."""

import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from ezmsg.ledger.errors import DamagedLedger, LedgerError, ReceiptError
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.copies.descent import Descent, check_descent
from ezmsg.ledger.projections.graph.replay import beginning
from ezmsg.ledger.reader import LedgerReader
from ezmsg.ledger.storage.compression import SUFFIX
from ezmsg.ledger.storage.disk import Disk
from ezmsg.ledger.storage.reading.verify import Verification
from ezmsg.ledger.stores.addresses import address_of, refuse_address
from ezmsg.ledger.structural import CUT, REDACTED, SERVED, Origin
from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.commands.keep.receipt import UNREADABLE, Judged, Shown, judged, of_note, shown
from ezmsg.ledger.tools.input import options
from ezmsg.ledger.tools.input.location import locate, shortened
from ezmsg.ledger.tools.input.options import FILE, argument, flag, option
from ezmsg.ledger.tools.output import Page, bar
from ezmsg.ledger.tools.text.phrases import origin_text
from ezmsg.ledger.wording import count, seqs_text

PROGRESS_MIN = 64 * 2**20
"""Bytes from which on the progress is shown: smaller files take less than a second."""

STEPS_MIN = 2000
"""Events from which on the progress of --deep is shown."""

PROOFS = {
    CUT: "verify --origin ORIGINAL",
    SERVED: "verify --origin ORIGINAL",
    REDACTED: "redact LEDGER --check ORIGINAL",
}
"""The command that compares two ledgers, by the way in which the one was made of the other."""

PASSES = 2
"""How often verifying reads a file: once for the lines, once for the hashes."""


@argument("ledger", "LEDGER", "The ledger to check.", type=FILE, required=True)
@flag("--deep", help="Fold the events too, and check every step.")
@option(
    "--receipt",
    "receipts",
    metavar="FILE",
    multiple=True,
    help="And that it goes on from what this receipt says, or each one that a stream keeps for it (an address).",
)
@option("--key", metavar="KEY", help="And that this key signed it: the line, or a file with it.")
@option("--origin", metavar="LEDGER", type=FILE, help="And that it holds what this one does, which it was cut out of.")
@option("--ledger", "of", metavar="LEDGER", type=FILE, help="Of a NWB file: that its tables are what this ledger says.")
@options.json
def verify(
    ledger: Path,
    deep: bool,
    receipts: Sequence[str],
    key: str | None,
    origin: Path | None,
    of: Path | None,
    json: bool,
) -> int:
    """Hashes every byte, reads every line, and says what does not hold, with its offset and seq. Changes nothing.

    The exit code is 0 when the ledger is sound; 1 when only its end is torn, as a killed recorder or a power cut leaves
    it (opening it for recording puts that aside); 4 when bytes have changed that had reached the disk. With --deep, 4
    too when an event contradicts those before it; that takes as long as the graph is large, for every event.

    With --receipt, which can be given more than once, it is also 4 when the ledger was cut back beyond the receipt or
    holds another history, and 1 when the receipt proves nothing: it is of another ledger, or not signed by the key.
    With --origin, 4 when the two do not hold the same, and 1 when it was not cut out of that ledger.

    A NWB file that annotate wrote is checked with --ledger: 4 when its tables are not what the ledger says.

    Examples:
      ezmsg-ledger verify run.ledger
      ezmsg-ledger verify run.ledger --receipt run.receipt
      ezmsg-ledger verify run.ledger --json | jq .sha256
      ezmsg-ledger verify run.ledger --deep
      ezmsg-ledger verify part.ledger --origin run.ledger
      ezmsg-ledger verify monday-annotated.nwb --ledger monday.ledger
    """
    page = Page()
    if of is not None:
        return _verify_tables(page, ledger, locate(of, page), json)
    path = locate(ledger, page)
    if key is not None and not receipts:
        raise exits.Misuse("--key is about the signature of a receipt", hint="Add --receipt FILE.")
    if origin is not None:
        for each in (path, origin):
            refuse_address(str(each), "verify --origin")
    given = [each for text in receipts for each in _shown(text, key)]
    size = _size(path)
    with (
        bar("verifying", PASSES * size, size >= PROGRESS_MIN) as read,
        Ledger.open(path, "r", disk=CountingDisk(read)) as source,
    ):
        found = source.verify()
        writer = source.being_written
        with bar("checking every step", source.head, deep and source.head >= STEPS_MIN) as step:
            consistency = check_each_step(source, step) if deep else None
        verdicts = [judged(each, source, found) for each in given]
        descent = None if origin is None else descended(source, locate(origin, page))
        if json:
            stated = [verdict.document for verdict in verdicts]
            compared = None if descent is None else descent.document
            origins = [msgspec.structs.asdict(each) for each in _origins(source)]
            about: dict[str, Any] = {"writer": writer, "deep": consistency, "receipt": stated[0] if stated else None}
            about |= {"receipts": stated, "origins": origins, "origin": compared}
            page.document({"ledger": source.location, "id": source.id, **msgspec.structs.asdict(found), **about})
        else:
            _report(page, source, found, writer)
            if consistency is not None:
                _report_steps(page, consistency)
            for receipt, verdict in zip(given, verdicts, strict=True):
                _tell(page, verdict, found.first, str(receipt.path) if len(given) > 1 else "")
            if descent is not None:
                _tell_descent(page, descent)
    code = exits.OK if found.sound else exits.NO if found.torn else exits.DAMAGED
    if consistency is not None and consistency.seq is not None:
        code = exits.DAMAGED
    codes = [judged.code for judged in (*verdicts, descent) if judged is not None]
    return max(code, *codes) if codes else code  # the worst of them: 0, 1 or 4


def _verify_tables(page: Page, data: Path, ledger: Path, json: bool) -> int:
    """Whether the tables of a ledger in a NWB file are what it says."""
    from ezmsg.ledger.tools.recordings.annotation import verify_tables  # of which hardly anybody has need

    try:
        found, why = verify_tables(data, ledger), ""
    except ReceiptError as error:
        found, why = [str(error)], error.why
        code = exits.code_of_proof(error)
    else:
        code = exits.DAMAGED if found else exits.OK
    if json:
        page.document(
            {"data": str(data), "ledger": str(ledger), "holds": not found, "why": why or None, "differ": found}
        )
        return code
    if not found:
        page.line(("add", "holds"), f": the tables in {data} are what {ledger} says")
    for each in found:
        page.line(("bad", "does not hold: "), each)
    return code


class Descended(msgspec.Struct, frozen=True):
    """A verdict on whether a ledger holds what the one does that it was cut out of: what was ``found``, or ``why`` it
    does not, in a word, and a sentence (``says``)."""

    original: str
    found: Descent | None
    code: int = exits.OK
    why: str | None = None
    says: str | None = None
    hint: str = ""

    @property
    def document(self) -> dict[str, Any]:
        """The document that ``verify --json`` shows."""
        found = {name: getattr(self.found, name, None) for name in ("events", "first", "last", "state", "added")}
        return {"holds": self.code == exits.OK, "why": self.why, "says": self.says, "ledger": self.original, **found}


def descended(ledger: LedgerReader, original: Path) -> Descended:
    """Whether ``ledger`` holds what the one at ``original`` does. Raises what opening that one does."""
    with Ledger.open(original, "r") as whole:
        try:
            return Descended(whole.location, check_descent(ledger, whole))
        except ReceiptError as error:
            code = exits.code_of_proof(error)
            return Descended(whole.location, None, code, error.why, str(error), error.hint)
        except DamagedLedger as error:
            return Descended(whole.location, None, exits.DAMAGED, UNREADABLE, str(error), error.hint)


class Consistency(msgspec.Struct, frozen=True):
    """The result of folding a ledger step by step: how many ``events`` were applied and checked; the ``seq`` of the
    first one after which something does not hold, and the ``problem``; both None when all does."""

    events: int
    seq: int | None = None
    problem: str | None = None


def check_each_step(ledger: LedgerReader, step: Callable[[int], object] = lambda seq: None) -> Consistency:
    """Fold the sound part of a ledger from where it begins, asserting every invariant of the state after every event.

    ``step`` is called with each seq that was checked. Cost: O(events * state): each check looks at the whole state.
    Raises what ``beginning`` raises where earlier segments are gone and the state before them cannot be known.
    """
    events = 0
    try:
        state = beginning(ledger)
        for event in ledger.entries():
            try:
                state.apply(event)
                state.check()
            except (LedgerError, AssertionError) as error:
                return Consistency(events, event.seq, str(error))
            events += 1
            step(event.seq)
    except DamagedLedger:  # the other half of verify tells about the bytes
        pass
    return Consistency(events)


def _tell_descent(page: Page, descent: Descended) -> None:
    """Print the verdict on the origin."""
    found, original = descent.found, shortened(descent.original)
    if found is None:
        page.line(("bad", "it does not hold what its origin holds"), f": {descent.says}")
        if descent.hint:
            page.line(f"  {descent.hint}")
        return
    if found.origin.made == SERVED:
        page.line(("add", "its origin is as it was"), f": {original} holds seq {found.last}, and all before it")
        return
    which, stand = seqs_text(found.first, found.last), "stands" if found.first == found.last else "stand"
    page.line(("add", "it holds what its origin holds"), f": {which} {stand} in {original}, byte for byte")
    if found.state:
        page.line(f"  the state that it begins with is that of {original} after seq {found.first - 1}")
    else:
        page.line(f"  the state that it begins with cannot be compared: {original} does not go back so far")
    if found.added:
        page.line(f"  {count(found.added, 'event')} after these {'was' if found.added == 1 else 'were'} added since")


def _report(page: Page, source: LedgerReader, found: Verification, writer: bool) -> None:
    if found.sound:
        page.line(("add", "sound"), f": {shortened(source.location)}")
    else:
        page.line(("bad", "unsound, its end is torn" if found.torn else "UNSOUND"), f": {shortened(source.location)}")
    page.line(f"  {count(found.events, 'event')} in {count(found.commits, 'commit')}, up to seq {found.seq}")
    origins = _origins(source)
    for origin in reversed(origins):
        page.line(f"  {origin_text(origin)}")
    if origins:
        page.line(f"  (that is what it says of itself: {PROOFS[origins[-1].made]} proves it)")
    if found.first > 1 and not origins:
        page.line(f"  its history begins with seq {found.first}: what came before is no longer there")
    partly = f", of which the first {found.offset:,} are sound" if found.offset < found.bytes else ""
    page.line(f"  {found.bytes:,} bytes{partly}")
    if source.segmented:
        if found.sound or found.torn:
            page.line(f"  {count(found.segments, 'segment')}, each with the hash of the one before; the last:")
            page.line(f"  sha256 {found.sha256}  {os.path.basename(source.tip)}")
        else:
            page.line(f"  {count(found.segments, 'segment')}; the sound part ends in segment {found.segment}")
    else:
        head = f"head -c {found.offset}"
        by_hand = f"zstdcat FILE | {head}" if source.location.endswith(SUFFIX) else f"{head} FILE"
        page.line(f"  sha256 {found.sha256}  ({by_hand} | sha256sum)")
    if writer:
        page.line("  a writer is at work")
    elif found.sound or found.torn:
        page.line(f"  {_ending(source, found)}")
    for problem in found.problems:
        page.line("  ", ("bad", problem))
    if writer and found.torn:
        page.line("  (what is being written just now looks so, too: verify again)")


def _origins(source: LedgerReader) -> tuple[Origin, ...]:
    """The ledgers that one was made of; none where that cannot be read, which is among the problems then."""
    try:
        return source.origins
    except LedgerError:
        return ()


def _ending(source: LedgerReader, found: Verification) -> str:
    if found.sealed:
        return "sealed: its last writer closed it"
    if source.segmented and found.running:
        return "not closed: its last run is open; its writer was interrupted, or segments are missing at its end"
    return "not sealed: its last writer was interrupted"


def _report_steps(page: Page, found: Consistency) -> None:
    if found.seq is None:
        page.line(f"  folded {count(found.events, 'event')}; every invariant of the graph held after each")
    else:
        page.line("  ", ("bad", f"after seq {found.seq}: {found.problem}"))
        page.line(f"  consistent before it: {count(found.events, 'event')}")


def _shown(text: str, key: str | None) -> list[Shown]:
    """The receipts that are meant: that of a file, or all that a stream keeps."""
    if not text:
        raise exits.Misuse("the name of a receipt is empty", hint="Name the file that holds the receipt.")
    if address_of(text) is None:
        return [shown(Path(text), key)]
    from ezmsg.ledger.tools.fleet.shipping.receipts import kept  # of which hardly anybody has need

    return [of_note(Path(name), note, key) for name, note in kept(text)]


def _tell(page: Page, verdict: Judged, first: int, name: str = "") -> None:
    """Print the verdict on the receipt; ``name`` says which it is of several."""
    receipt = verdict.receipt
    if name:
        page.line(("head", name))
    if verdict.says is not None:
        page.line(("bad", "the receipt does not hold"), f": {verdict.says}")
        if verdict.hint:
            page.line(f"  {verdict.hint}")
        return
    taken = datetime.fromtimestamp(receipt.time // 10**9, UTC).isoformat(" ")
    stand = "is as it was" if first == receipt.seq else "are as they were"
    page.line(("add", "the receipt holds"), f": {seqs_text(first, receipt.seq)} {stand} on {taken}")
    if verdict.signed_by is not None:
        page.line(f"  signed by {verdict.signed_by}")
    elif verdict.unchecked:
        page.line(f"  it says that {' and '.join(verdict.unchecked)} signed it: --key KEY checks that")
    else:
        page.line("  it is not signed: it is worth as much as the place where it was kept")


class CountingDisk(Disk):
    """The operating system's disk; ``tell`` is called with the number of bytes that were read so far."""

    def __init__(self, tell: Callable[[int], object]) -> None:
        self._tell = tell
        self._done = 0

    def read_into(self, handle: int, view: memoryview, offset: int) -> int:
        size = super().read_into(handle, view, offset)
        self._done += size
        self._tell(self._done)
        return size


def _size(path: Path) -> int:
    if address_of(str(path)) is not None:  # its progress is that of fetching it
        return 0
    files = [path] if path.is_file() else [each for each in path.glob("*.ledger*") if each.is_file()]
    return sum(file.stat().st_size for file in files)
