"""A copy of a data file that has the ledger's tables in it. The file itself is never written to."""

import math
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec

from ezmsg.ledger.errors import LedgerError, MalformedNote
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.receipt import check
from ezmsg.ledger.tools.exits import Misuse
from ezmsg.ledger.tools.recordings.answer import InForce
from ezmsg.ledger.tools.recordings.clocks.clock_mapping import LINK, UNCOVERED
from ezmsg.ledger.tools.recordings.draft import drafted, taken
from ezmsg.ledger.tools.recordings.formats import fif_annotations, nwb_tables
from ezmsg.ledger.tools.recordings.laid import Laid
from ezmsg.ledger.tools.recordings.recording import NotARecording, Recording, read
from ezmsg.ledger.tools.recordings.stretch import GIVEN, answer
from ezmsg.ledger.tools.recordings.tables import Tables, receipt_of, tables_of


class NotOfThisLedger(LedgerError):
    """A data file of which the ledger knows nothing."""


class Annotated(msgspec.Struct, frozen=True):
    """A copy that was written at ``path``: ``rows`` by table, and the answer that they were made of.

    ``notes``: what is to be known of the times in the copy, in words.
    """

    path: Path
    rows: dict[str, int]
    answer: InForce
    notes: list[str] = []


Writer = Callable[[Path, Path], AbstractContextManager[Callable[[Tables], None]]]

_WRITERS: dict[str, Writer] = {"NWB": nwb_tables.writing, "FIF": fif_annotations.writing}
"""By format: from a source and a target to a block in which tables are put into a copy. The copy goes on meanwhile."""


def annotate(
    data: str | Path,
    ledger: str | Path,
    out: str | Path,
    *,
    force: bool = False,
    series: str | None = None,
    block: float | None = None,
) -> Annotated:
    """Write a copy of a data file, NWB or FIF, that has in it what the ledger knows of its samples.

    ``force``: also where nothing in the ledger names the file. Raises as ``in_force``; NotOfThisLedger; Misuse for a
    place that is taken. Nothing is left of a copy that could not be written whole. Cost: that of a copy, and of
    ``in_force``.

    >>> from ezmsg.ledger import LedgerError
    >>> try:
    ...     print(annotate("monday.nwb", "monday.ledger", "monday-annotated.nwb").rows)
    ... except LedgerError as error:
    ...     print(error)
    there is no file monday.nwb
    """
    recording = read(Path(data), series)
    with Ledger.open(ledger, "r") as opened:
        return write_copy(Laid(recording, Timeline(opened)), Path(out), force=force, block=block)


def write_copy(laid: Laid, out: Path, *, force: bool = False, block: float | None = None) -> Annotated:
    """Write the copy that ``annotate`` does, of a recording that was laid beside a ledger."""
    recording = laid.recording
    if recording.format not in _WRITERS:
        raise NotARecording(
            f"{recording.path.name}: {recording.format} files are not annotated",
            hint="export --format bids-events writes what is known of them into a table beside.",
        )
    _check_place(recording, out)
    if not laid.links and not force:
        raise NotOfThisLedger(
            f"nothing in the ledger names {recording.path.name}: it may be of another rig",
            hint="Where you know better: --force.",
        )
    must_be_laid(laid)
    with drafted(out) as draft, _WRITERS[recording.format](recording.path, draft) as write:
        found = answer(laid, block=block)
        tables = tables_of(laid, found, time.time_ns())
        write(tables)
    rows = {name: len(each) for name, each in nwb_tables.expected(tables).items()}
    if recording.format != "FIF":
        return Annotated(out, rows, found)
    rows = {name: rows.get(name, 0) for name in fif_annotations.WRITTEN}
    return Annotated(out, rows, found, fif_annotations.notes(recording.axis.end, out))


def must_be_laid(laid: Laid) -> None:
    """Raise NotOfThisLedger where it is not known when the samples were made, or the ledger does not cover that."""
    if laid.sureness in (UNCOVERED, LINK):
        why = laid.doubts[-1]  # the last word on where it lies
        name = laid.recording.path.name
        raise NotOfThisLedger(f"{name} cannot be laid beside the ledger: {why}", hint="in-force says what is known.")


def _check_place(recording: Recording, out: Path) -> None:
    if out.exists() and os.path.samefile(out, recording.path):
        raise Misuse(f"{out} is the data file itself", hint="A copy is annotated: name another file.")
    if os.path.lexists(out):
        raise taken(out)
    if "".join(out.suffixes[-1:]) != "".join(recording.path.suffixes[-1:]):
        raise Misuse(f"{out.name} does not end as {recording.path.name} does", hint="Programs tell formats by that.")
    if not out.parent.is_dir():
        raise Misuse(f"there is no folder {out.parent}", hint="Make it, or name another place.")


def verify_tables(data: str | Path, ledger: str | Path) -> list[str]:
    """The places in which the ledger's tables in a NWB file are not what the ledger says; none when all hold.

    The receipt in the file is checked first: it raises what is wrong with the ledger. Raises NotARecording for a file
    without such tables. Cost: that of the receipt, and of ``in_force``.

    >>> from ezmsg.ledger import LedgerError
    >>> try:
    ...     verify_tables("monday.txt", "monday.ledger")
    ... except LedgerError as error:
    ...     print(error)
    monday.txt is not a NWB file
    """
    path = Path(data)
    if path.suffix.lower() != ".nwb":
        raise NotARecording(f"{path.name} is not a NWB file", hint="Tables of a ledger are verified in NWB files.")
    recording = read(path, None)
    found = nwb_tables.read(path)
    provenance = nwb_tables.provenance(found.get(nwb_tables.PROVENANCE, []))
    if not provenance:
        raise NotARecording(f"{path.name} has no tables of a ledger", hint="annotate writes them, into a copy.")
    if provenance.get("series") in recording.others:
        recording = read(path, provenance["series"])
    with Ledger.open(ledger, "r") as opened:
        if opened.id != provenance.get("ledger"):
            of = provenance.get("ledger") or "none that they name"
            raise NotOfThisLedger(f"the tables of {path.name} are of ledger {of}, not {opened.id}")
        receipt, odd = None, []
        try:
            receipt = receipt_of(provenance)
        except MalformedNote as error:  # somebody wrote over it: the tables can be compared all the same
            odd = [f"{nwb_tables.PROVENANCE}: {error}"]
        if receipt is not None:
            check(opened.location, receipt)
        laid = Laid(recording, Timeline(opened))
        stated = answer(laid, block=_given(provenance))
        wanted = tables_of(laid, stated, receipt.time if receipt is not None else 0)
    return [*odd, *nwb_tables.differences(found, nwb_tables.expected(wanted))]


def _given(provenance: dict[str, str]) -> float | None:
    """The length of a block that the tables were made with (s), where somebody gave it and no setting told it."""
    text = provenance.get("block_s", "") if provenance.get("block_of") == GIVEN else ""
    try:
        found = float(text)
    except ValueError:
        return None
    return found if found > 0 and math.isfinite(found) else None
