"""``redact``: a ledger without the values of some settings, to be handed on."""

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from ezmsg.ledger.errors import LogError, ReceiptError
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.copies.digests import Salt
from ezmsg.ledger.projections.copies.redact import compare_redacted
from ezmsg.ledger.projections.copies.redact import redact as taken_out
from ezmsg.ledger.storage.disk import OS_DISK, sync_file, write_all
from ezmsg.ledger.storage.file_access import closing_handle, explained
from ezmsg.ledger.stores.addresses import refuse_address
from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.exits import Misuse
from ezmsg.ledger.tools.input import options
from ezmsg.ledger.tools.input.location import locate, opened, shortened
from ezmsg.ledger.tools.input.options import FILE, argument, option
from ezmsg.ledger.tools.input.target import place_of_copy
from ezmsg.ledger.tools.output import Page
from ezmsg.ledger.wording import count, seqs_text, size_text

SUFFIX = ".salt"
"""Added to the name of a ledger: the file with the salt that its values were keyed with."""


@argument("ledger", "LEDGER", "The ledger; with --check, one that redact has made.", type=FILE, required=True)
@option("--output", "-o", metavar="NEW", type=FILE, help="Where to.")
@option(
    "--setting",
    "-s",
    "settings",
    metavar="UNIT.FIELD",
    multiple=True,
    help="Whose values are to go; can be given more than once. * stands for anything: '*.subject'.",
)
@option("--salt", metavar="FILE", type=FILE, help="The salt to key digests with, made if missing; LEDGER.salt else.")
@option("--check", metavar="ORIGINAL", type=FILE, help="Whether LEDGER differs from this one in those values alone.")
@options.json
def redact(
    ledger: Path, output: Path | None, settings: Sequence[str], salt: Path | None, check: Path | None, json: bool
) -> int:
    """Copies a ledger without the values of some settings, which can name people. In the place of each value stands its
    digest, wherever the value stands: in settings and metadata, requests and answers, errors, marks, names. Pickles
    that hold it are left out. All else stays as it is.

    Digests are keyed with a salt, so that nobody can guess a short value from them. Keep the salt where the original
    is, and give it to nobody. --check shows to a person who has both ledgers that they differ in those values alone.

    Examples:
      ezmsg-ledger redact run.ledger -o public.ledger --setting 'SYSTEM/AMP.gain'
      ezmsg-ledger redact run.ledger -o public.ledger --setting '*.gain' --setting 'SYSTEM/*.mode'
      ezmsg-ledger redact public.ledger --check run.ledger
    """
    page = Page()
    if check is not None:
        if output is not None or settings:
            raise Misuse("--check makes no ledger: it takes no --output and no --setting", hint=_USAGE)
        return _check(page, ledger, check, salt, json)
    if output is None or not settings:
        raise Misuse(f"{'--setting' if output is not None else '--output'} is missing", hint=_USAGE)
    with opened(ledger, page) as timeline:
        source = timeline.ledger.location
        refuse_address(source, "redact")
        target = place_of_copy(output, timeline)
        if timeline.ledger.head < timeline.ledger.first:
            raise Misuse(f"{shortened(source)} holds no event", hint="There is nothing in it to redact.")
        file = Path(f"{source}{SUFFIX}") if salt is None else salt.expanduser()
        known = _read(file)
        key = known or Salt.make()
        made = taken_out(timeline.ledger, settings, target, key)
        if known is None:
            try:
                _write(file, key)
            except LogError:  # without it nobody could show what the digests stand for
                os.remove(target)
                raise
    document = msgspec.structs.asdict(made) | {"source": source, "bytes": os.path.getsize(target), "salt": str(file)}
    if json:
        page.document(document)
        return exits.OK
    page.line(("add", "redacted"), f": {shortened(target)}, verified")
    which = seqs_text(made.first, made.last)
    page.line(f"  {which}, {count(made.events, 'event')}, {size_text(document['bytes'])}; its own id is {made.id}")
    page.line(f"  {count(made.replaced, 'value')} and pickles are gone, from {count(made.changed, 'event')}")
    page.line(f"  the salt is in {shortened(str(file))}: keep it with the original, and give it to nobody")
    page.line(f"  redact {shortened(target)} --check {shortened(source)} shows that nothing else differs")
    return exits.OK


_USAGE = "ezmsg-ledger redact LEDGER -o NEW --setting UNIT.FIELD, or: ezmsg-ledger redact NEW --check LEDGER"


def _check(page: Page, ledger: Path, original: Path, salt: Path | None, json: bool) -> int:
    """Hold a redacted ledger beside its original; returns the exit code."""
    path, whole = locate(ledger, page), locate(original, page)
    for each in (path, whole):
        refuse_address(str(each), "redact --check")
    file = Path(f"{os.path.realpath(whole)}{SUFFIX}") if salt is None else salt.expanduser()
    key = _read(file)
    if key is None and salt is not None:
        raise Misuse(f"there is no file {salt}", hint="It is made by redact, beside the original ledger.")
    with Ledger.open(path, "r") as ours, Ledger.open(whole, "r") as theirs:
        named = {origin.salt for origin in ours.origins}
        if key is not None and salt is None and key.name not in named:
            key = None  # another one: what the digests are cannot be told, all else can
        try:
            found = compare_redacted(ours, theirs, key)
        except ReceiptError as error:
            code = exits.code_of_proof(error)
            if json:
                page.document({"ledger": ours.location, "original": theirs.location, "holds": False, "why": error.why,
                               "says": str(error)})  # fmt: skip
            else:
                page.line(("bad", "more than the named values differs"), f": {error}")
                if error.hint:
                    page.line(f"  {error.hint}")
            return code
    if json:
        about = msgspec.structs.asdict(found) | {"origin": msgspec.structs.asdict(found.origin)}
        page.document({"ledger": ours.location, "original": theirs.location, "holds": True, **about})
        return exits.OK
    page.line(("add", "only the named values differ"), f": {shortened(ours.location)}, {shortened(theirs.location)}")
    page.line(f"  {count(found.events, 'event')}, all but {found.changed} of them the same to the byte")
    page.line(f"  without the values of {', '.join(found.origin.redacted)}: {count(found.values, 'different digest')}")
    if found.salted:
        page.line("  each is that of the value there, and that of the original is right too, by the salt")
    else:
        page.line("  equal ones stand where equal values do; without the salt their bits cannot be checked")
    if found.added:
        page.line(f"  {count(found.added, 'event')} after these {'was' if found.added == 1 else 'were'} added since")
    return exits.OK


def _read(path: Path) -> Salt | None:
    """The salt in a file; None when there is no such file. Raises Misuse."""
    try:
        text = path.read_text(encoding="ascii", errors="replace").strip()
    except FileNotFoundError:
        return None
    try:
        return Salt(bytes.fromhex(text))
    except ValueError as error:
        raise Misuse(f"{path} is not a salt: {error}", hint="It is made by redact: 64 hexadecimal digits.") from error


def _write(path: Path, salt: Salt) -> None:
    """Make the file of a salt, for its owner's eyes alone. Raises LogError."""
    where = str(path)
    with explained(where, "written", "Name another place for the salt: --salt FILE"):
        with closing_handle(OS_DISK, OS_DISK.create(where)) as handle:
            write_all(OS_DISK, handle, f"{salt.secret.hex()}\n".encode(), 0)
            sync_file(OS_DISK, handle)
        OS_DISK.sync_folder(os.path.dirname(where) or os.curdir)
