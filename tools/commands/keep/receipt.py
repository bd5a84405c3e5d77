"""``receipt``: a few lines to keep elsewhere, which prove later that a ledger still holds what it holds now."""

import socket
import time
from pathlib import Path
from typing import Any

import msgspec

from ezmsg.ledger.audit.note import Note, SigningKey, VerifierKey, parse_note
from ezmsg.ledger.audit.receipt import Receipt, check, take
from ezmsg.ledger.errors import CannotSign, LogError, MalformedNote, OtherHistory, ReceiptError
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.reader import LedgerReader
from ezmsg.ledger.storage.disk import OS_DISK, sync_file, write_all
from ezmsg.ledger.storage.file_access import closing_handle
from ezmsg.ledger.storage.reading.verify import Verification
from ezmsg.ledger.stores.addresses import refuse_address
from ezmsg.ledger.tools.exits import DAMAGED, NO, OK, Misuse, code_of
from ezmsg.ledger.tools.input import options
from ezmsg.ledger.tools.input.key_file import read_key, read_note
from ezmsg.ledger.tools.input.location import locate, tell_beginning
from ezmsg.ledger.tools.input.options import FILE, argument, option
from ezmsg.ledger.tools.output import Page


@argument("ledger", "[LEDGER]", "The ledger to give a receipt of.", type=FILE)
@option("--key", metavar="FILE", type=FILE, help="Sign it with this key (extra: sign).")
@option("--new-key", metavar="FILE", type=FILE, help="Make a key, and print what checks its signatures.")
@option("--name", help="Whose key it is: for --new-key and PEM files. The name of this machine, else.")
@option("--address", "-a", metavar="HOST:PORT", help="Ask the recorder there what has reached the disk.")
@options.json
def receipt(
    ledger: Path | None, key: Path | None, new_key: Path | None, name: str | None, address: str | None, json: bool
) -> None:
    """Prints the size and the digest of what is on the disk for sure, to be kept where the ledger is not: mail it, or
    commit it. `verify --receipt` tells later whether the ledger goes on from there, and so do head and sha256sum.

    With --key it is signed, so that others see who gave it. Without LEDGER, --key prints the line they check it with.

    Examples:
      ezmsg-ledger receipt run.ledger > run.receipt
      ezmsg-ledger verify run.ledger --receipt run.receipt
      ezmsg-ledger receipt --new-key ~/lab.key --name lab-3
      ezmsg-ledger receipt run.ledger --key ~/lab.key > run.receipt
    """
    page = Page()
    owner = name or socket.gethostname()
    if new_key is not None:
        if (ledger, key, address) != (None, None, None):
            raise Misuse("--new-key makes a key and does nothing else", hint="Use it with --key FILE afterwards.")
        file = new_key.expanduser()
        _show_key(page, file, _made(file, owner), json)
        return
    signer = None if key is None else read_key(key, owner)
    if ledger is None and address is None:
        if signer is None or key is None:
            raise Misuse("no ledger was named", hint="ezmsg-ledger receipt LEDGER")
        _show_key(page, key, signer, json)
        return
    if ledger is not None and address is not None:
        raise Misuse("--address names the ledger that the recorder there writes", hint="Leave one of the two out.")
    location, durable_seq = (str(locate(ledger, page)), 0) if address is None else _asked(address)
    refuse_address(location, "receipt")
    with Ledger.open(location, "r") as source:  # a folder that is just being made of a file is found, too
        tell_beginning(source, page)
        if (damage := source.damage) is not None:
            raise damage
        taken = take(source.location, time.time_ns(), durable_seq)
    note = taken.text.encode() if signer is None else signer.sign(taken.text)
    if not json:
        page.data(note)
        return
    document: dict[str, Any] = {"ledger": source.location, **msgspec.structs.asdict(taken)}
    document |= {"key": None if signer is None else str(signer.verifier), "note": note.decode()}
    page.document(document)


def _asked(address: str) -> tuple[str, int]:
    """The ledger that the recorder at ``address`` writes, and the last seq that it knows to be on the disk."""
    from ezmsg.ledger.runtime.recorder.control_client import ask

    reply = ask(address, "receipt")
    if reply["ledger"] == "memory":
        raise Misuse(f"the recorder at {address} keeps its ledger in memory", hint="Start it with a file to record to.")
    return reply["ledger"], reply["durable_seq"]


def _made(path: Path, name: str) -> SigningKey:
    made = SigningKey.make(name)
    try:
        handle = OS_DISK.create(str(path))
    except FileExistsError as error:
        raise Misuse(f"{path} exists", hint="A key that was lost cannot be made again: choose another name.") from error
    with closing_handle(OS_DISK, handle):
        write_all(OS_DISK, handle, f"{made}\n".encode(), 0)
        sync_file(OS_DISK, handle)
    return made


def _show_key(page: Page, path: Path, key: SigningKey, json: bool) -> None:
    if json:
        page.document({"file": str(path), "name": key.name, "key": str(key.verifier)})
    else:
        page.line(str(key.verifier))


# --- for verify ------------------------------------------------------------------------------------------------------


UNREADABLE = "unreadable"
"""Why a receipt does not hold whose file cannot be read at all."""


class Shown(msgspec.Struct, frozen=True):
    """A receipt that somebody shows: ``key`` is what it is to be checked with, or None."""

    path: Path
    note: Note
    receipt: Receipt
    key: VerifierKey | None


class Judged(msgspec.Struct, frozen=True):
    """A verdict on a receipt: ``why`` it does not hold, in a word, and a sentence (``says``); both None when it does.

    ``signed_by``: whose signature was checked and is right.
    """

    receipt: Receipt
    signed_by: str | None
    unchecked: list[str]
    code: int = OK
    why: str | None = None
    says: str | None = None
    hint: str | None = None

    @property
    def document(self) -> dict[str, Any]:
        """The document that ``verify --json`` shows."""
        about = msgspec.structs.asdict(self.receipt)
        return {"holds": self.code == OK, "why": self.why, "says": self.says, "signed_by": self.signed_by, **about}


def shown(path: Path, key: str | None) -> Shown:
    """The receipt in a file, and the key: a line, or the name of a file that holds it.

    Raises MalformedNote, MalformedKey, Misuse.
    """
    return of_note(path, read_note(path, "the receipt"), key)


def of_note(path: Path, text: bytes, key: str | None) -> Shown:
    """The receipt of these bytes, which ``path`` names to people; as ``shown``."""
    try:
        note = parse_note(text)
        found = Receipt.parse(note.text)
    except MalformedNote as error:
        raise MalformedNote(f"{path}: {error}", hint=error.hint) from error
    if key is None:
        return Shown(path, note, found, None)
    file = Path(key).expanduser()
    line = read_note(file, "the key").decode("utf-8", "replace") if file.is_file() else key
    return Shown(path, note, found, VerifierKey.parse(line))


def judged(shown: Shown, ledger: LedgerReader, found: Verification) -> Judged:
    """Whether ``ledger`` goes on from the receipt, and whether the key has signed that.

    ``found``: what was found when all of it was verified. Raises CannotSign without the library.
    """
    unchecked = [] if shown.key is not None else [each.name for each in shown.note.signatures]
    try:
        if shown.key is not None:
            shown.key.verify(shown.note)
        signed_by = None if shown.key is None else shown.key.name
        check(ledger.location, shown.receipt, ledger.disk)
        # in an earlier segment, or between two of them: the receipt's own file is as it was
        if (found.segment, found.seq) < (shown.receipt.segment, shown.receipt.seq):
            raise OtherHistory(f"the ledger is damaged after seq {found.seq}, before seq {shown.receipt.seq}")
    except CannotSign:  # that is nothing about the receipt
        raise
    except ReceiptError as error:
        code = DAMAGED if code_of(error) == DAMAGED else NO
        return Judged(shown.receipt, None, unchecked, code, error.why, str(error), error.hint)
    except LogError as error:  # the file that it speaks of: what is wrong with it is among the problems found, too
        return Judged(shown.receipt, None, unchecked, DAMAGED, UNREADABLE, str(error), error.hint)
    return Judged(shown.receipt, signed_by, unchecked)
