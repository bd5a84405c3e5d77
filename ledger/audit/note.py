"""Signed notes (https://c2sp.org/signed-note): a text, and below it lines of signatures by named Ed25519 keys.

Keys are texts in the form of Go's sumdb/note: ``NAME+HASH+BASE64`` for those who check,
``PRIVATE+KEY+NAME+HASH+BASE64`` for those who sign. Ed25519 itself is the work of the package cryptography, which the
extra ``[sign]`` brings.
"""

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from hashlib import sha256
from typing import Any, NamedTuple, Self

from ezmsg.ledger.errors import BadSignature, CannotSign, MalformedKey, MalformedNote, UnknownKey
from ezmsg.ledger.extras import needed

NOTE_MAX = 64 * 1024
"""Bytes of a note. A receipt takes some 200, each signature 100 more; whatever is larger is something else."""

ED25519 = b"\x01"
"""The first byte of a key of this algorithm."""

KEY_BYTES = 32
ID_BYTES = 4

_DASH = "\u2014 "
_PRIVATE = "PRIVATE+KEY+"
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f]")
_KEY = re.compile(r"([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)")


class Signature(NamedTuple):
    """A line below a note: whose key, the first bytes of the key's hash, and what that key made of the text."""

    name: str
    key_id: bytes
    signature: bytes


class Note(NamedTuple):
    """A text, its last newline included, and the signatures below it: none when it is the text alone."""

    text: str
    signatures: tuple[Signature, ...]


def parse_note(data: bytes) -> Note:
    """The note that ``data`` is; no signature is checked. Raises MalformedNote, saying what is odd."""
    if len(data) > NOTE_MAX:
        raise MalformedNote(f"{len(data)} bytes: a receipt is far shorter")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedNote(f"not text: byte {error.start} is not UTF-8") from error
    if odd := _CONTROL.search(text):
        raise MalformedNote(f"character {odd.start()} is a control character: {odd[0]!r}")
    if not text.endswith("\n") or text.startswith("\n"):
        raise MalformedNote("empty" if not text.strip() else "it does not begin and end in a line")
    body, blank, below = text.rpartition("\n\n")
    if not blank:
        return Note(text, ())
    if not below:
        raise MalformedNote("below the blank line stands no signature")
    return Note(body + "\n", tuple(map(_signature, below[:-1].split("\n"))))


def _signature(line: str) -> Signature:
    dash, (name, space, coded) = line[: len(_DASH)], line[len(_DASH) :].partition(" ")
    raw = _base64(coded)
    if dash != _DASH or not space or not is_name(name) or raw is None or len(raw) <= ID_BYTES:
        raise MalformedNote(f"not a line of a signature: {line[:80]!r}")
    return Signature(name, raw[:ID_BYTES], raw[ID_BYTES:])


def _base64(text: str) -> bytes | None:
    try:
        return b64decode(text, validate=True)
    except (Base64Error, ValueError):
        return None


def is_name(name: str) -> bool:
    """Whether a key can have this name: no space, no plus sign, not empty."""
    return bool(name) and "+" not in name and not any(each.isspace() or not each.isprintable() for each in name)


def key_id(name: str, public: bytes) -> bytes:
    """Four bytes that tell a key of that name from others: neither a secret nor a proof."""
    return sha256(name.encode() + b"\n" + ED25519 + public).digest()[:ID_BYTES]


class VerifierKey(NamedTuple):
    """A public key, which checks the signatures of one key. ``str()`` gives the line that others are given."""

    name: str
    public: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """The key of a line ``NAME+HASH+BASE64``. Raises MalformedKey."""
        if text.strip().startswith(_PRIVATE):
            raise MalformedKey("this is a private key: it signs, and is for nobody else's eyes")
        name, public = _parse_key(text.strip(), "a verifier key")
        key = cls(name, public)
        if str(key) != text.strip():
            raise MalformedKey(f"the hash in the key of {name} is not the one of the key: it was changed")
        return key

    def __str__(self) -> str:
        return _key_text(self.name, self.key_id, self.public)

    @property
    def key_id(self) -> bytes:
        return key_id(self.name, self.public)

    def verify(self, note: Note) -> None:
        """Raise UnknownKey unless the note has a signature of this key, BadSignature unless that is one of its text."""
        mine = [each for each in note.signatures if (each.name, each.key_id) == (self.name, self.key_id)]
        if not mine:
            others = ", ".join(f"{each.name} ({each.key_id.hex()})" for each in note.signatures)
            signed = f"it is signed by {others}" if others else "it is not signed at all"
            raise UnknownKey(f"the receipt has no signature of {self.name} ({self.key_id.hex()}): {signed}")
        public = _ed25519().Ed25519PublicKey.from_public_bytes(self.public)
        for each in mine:
            try:
                public.verify(each.signature, note.text.encode())
            except _library("exceptions").InvalidSignature as error:
                raise BadSignature(f"the signature of {self.name} is not one of this receipt") from error


class SigningKey(NamedTuple):
    """A private key, which signs notes in the name of ``name``. ``str()`` gives it as a text."""

    name: str
    seed: bytes

    @classmethod
    def make(cls, name: str) -> Self:
        """A new key. Raises MalformedKey when no key can have this name, CannotSign."""
        _check_name(name)
        return cls(name, _seed(_ed25519().Ed25519PrivateKey.generate()))

    @classmethod
    def parse(cls, data: bytes, name: str) -> Self:
        """The key of a text as ``str()`` gives it, or of a PEM file, which says no name: that is ``name`` then.

        Raises MalformedKey, CannotSign.
        """
        if data.lstrip().startswith(b"-----BEGIN"):
            return cls._of_pem(data, name)
        try:
            text = data.decode("ascii").strip()
        except UnicodeDecodeError:
            raise MalformedKey("not a signing key: it is neither a line of text nor a PEM file") from None
        if not text.startswith(_PRIVATE):
            raise MalformedKey(f"not a signing key: it does not begin with {_PRIVATE} and is not a PEM file")
        key = cls(*_parse_key(text.removeprefix(_PRIVATE), "a signing key"))
        if str(key) != text:
            raise MalformedKey(f"the hash in the signing key of {key.name} is not the one of the key: it was changed")
        return key

    @classmethod
    def _of_pem(cls, data: bytes, name: str) -> Self:
        _check_name(name)
        try:
            private = _serialization().load_pem_private_key(data, None)
        except (ValueError, TypeError) as error:
            raise MalformedKey(
                f"the PEM file cannot be read: {error}", hint="Without a password: openssl genpkey -algorithm ed25519"
            ) from error
        if not isinstance(private, _ed25519().Ed25519PrivateKey):
            raise MalformedKey("the key in the PEM file is of another kind than Ed25519")
        return cls(name, _seed(private))

    def __str__(self) -> str:
        return _PRIVATE + _key_text(self.name, self.verifier.key_id, self.seed)

    @property
    def verifier(self) -> VerifierKey:
        """The public key, which checks the signatures of this one. Raises CannotSign."""
        serialization = _serialization()
        raw = serialization.Encoding.Raw, serialization.PublicFormat.Raw
        return VerifierKey(self.name, self._private().public_key().public_bytes(*raw))

    def sign(self, text: str) -> bytes:
        """``text``, whole lines of it, as a note with the signature of this key. Raises CannotSign."""
        coded = b64encode(self.verifier.key_id + self._private().sign(text.encode())).decode()
        return f"{text}\n{_DASH}{self.name} {coded}\n".encode()

    def _private(self) -> Any:
        return _ed25519().Ed25519PrivateKey.from_private_bytes(self.seed)


def _parse_key(text: str, what: str) -> tuple[str, bytes]:
    found = _KEY.fullmatch(text)
    raw = _base64(found[3]) if found is not None else None
    if found is None or raw is None or not is_name(found[1]):
        raise MalformedKey(f"not {what}: it has another form than NAME+HASH+BASE64")
    if raw[:1] != ED25519 or len(raw) != 1 + KEY_BYTES:
        raise MalformedKey(f"the key of {found[1]} is of another kind than Ed25519")
    return found[1], raw[1:]


def _key_text(name: str, id_: bytes, key: bytes) -> str:
    return f"{name}+{id_.hex()}+{b64encode(ED25519 + key).decode()}"


def _check_name(name: str) -> None:
    if not is_name(name):
        raise MalformedKey(f"no key can have the name {name!r}", hint="A name has no space and no plus sign.")


def _seed(private: Any) -> bytes:
    serialization = _serialization()
    raw = serialization.Encoding.Raw, serialization.PrivateFormat.Raw, serialization.NoEncryption()
    return bytes(private.private_bytes(*raw))


def _library(module: str) -> Any:
    """A module of the package cryptography. Raises CannotSign, saying which extra brings it."""
    return needed(f"cryptography.{module}", "ezmsg-ledger[sign]", "A signature", CannotSign)


def _ed25519() -> Any:
    return _library("hazmat.primitives.asymmetric.ed25519")


def _serialization() -> Any:
    return _library("hazmat.primitives.serialization")
