"""Small files that a person names and that are read whole: a key that signs, the key that checks it, a receipt."""

from pathlib import Path

from ezmsg.ledger.audit.note import NOTE_MAX, SigningKey
from ezmsg.ledger.errors import MalformedKey
from ezmsg.ledger.tools.exits import Misuse


def read_key(path: Path, name: str) -> SigningKey:
    """The key in a file, that of ``name`` where it does not say whose it is. Raises Misuse, MalformedKey."""
    try:
        return SigningKey.parse(read_note(path, "a key"), name)
    except MalformedKey as error:
        raise MalformedKey(f"{path}: {error}", hint=error.hint) from error


def read_note(path: Path, what: str) -> bytes:
    """The bytes of a file, or a byte more than a note may have. ``what``: what it should hold. Raises Misuse."""
    try:
        with path.expanduser().open("rb") as file:
            return file.read(NOTE_MAX + 1)
    except IsADirectoryError as error:
        raise Misuse(f"{path} is a folder", hint=f"Name the file that holds {what}.") from error
    except FileNotFoundError as error:
        raise Misuse(f"there is no file {path}", hint=f"Name the file that holds {what}.") from error
