"""Signed notes, held to C2SP's own words: key ids, lines, and signatures that openssl makes and checks."""

import shutil
import subprocess
import sys
from base64 import b64decode, b64encode
from hashlib import sha256
from pathlib import Path

import pytest

from ezmsg.ledger.audit.note import NOTE_MAX, Note, SigningKey, VerifierKey, parse_note
from ezmsg.ledger.errors import BadSignature, CannotSign, MalformedKey, MalformedNote, UnknownKey
from ezmsg.ledger.extras import install_command

pytest.importorskip("cryptography")

# The key and the note of Go's golang.org/x/mod/sumdb/note, made by that program.
GO_PRIVATE = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
GO_PUBLIC = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
GO_SIGNATURE = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
GO_NOTE = f"{GO_TEXT}\n\u2014 PeterNeumann {GO_SIGNATURE}\n"

KEY = SigningKey("lab-3", bytes(range(32)))
TEXT = "a\nb\n"


def test_the_vector_of_gos_own_program() -> None:
    key = SigningKey.parse(GO_PRIVATE.encode(), "")
    assert str(key) == GO_PRIVATE
    assert str(key.verifier) == GO_PUBLIC
    assert key.sign(GO_TEXT).decode() == GO_NOTE
    note = parse_note(GO_NOTE.encode())
    assert note.text == GO_TEXT
    VerifierKey.parse(GO_PUBLIC + "\n").verify(note)


def test_a_key_id_is_the_beginning_of_a_hash() -> None:
    name, id_, coded = str(KEY.verifier).split("+", 2)
    raw = b64decode(coded)
    assert raw[0] == 1
    assert sha256(name.encode() + b"\n" + raw).hexdigest()[:8] == id_


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here")
def test_openssl_makes_the_key_and_checks_the_signature(tmp_path: Path) -> None:
    pem, public, text, signature = (tmp_path / name for name in ("key.pem", "pub.pem", "text", "signature"))
    openssl("genpkey", "-algorithm", "ed25519", "-out", pem)
    openssl("pkey", "-in", pem, "-pubout", "-out", public)
    key = SigningKey.parse(pem.read_bytes(), "lab-3")
    note = parse_note(key.sign(TEXT))
    text.write_text(note.text)
    signature.write_bytes(note.signatures[0].signature)
    openssl("pkeyutl", "-verify", "-pubin", "-inkey", public, "-rawin", "-in", text, "-sigfile", signature)
    openssl("pkeyutl", "-sign", "-inkey", pem, "-rawin", "-in", text, "-out", tmp_path / "theirs")
    coded = b64encode(key.verifier.key_id + (tmp_path / "theirs").read_bytes()).decode()
    key.verifier.verify(parse_note(f"{TEXT}\n\u2014 lab-3 {coded}\n".encode()))


def openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=30)


def test_a_text_alone_is_a_note_without_signatures() -> None:
    assert parse_note(TEXT.encode()) == Note(TEXT, ())
    with pytest.raises(UnknownKey, match=r"no signature of lab-3 .*: it is not signed at all"):
        KEY.verifier.verify(parse_note(TEXT.encode()))


def test_every_byte_of_the_text_counts() -> None:
    data = KEY.sign(TEXT)
    for offset in range(len(TEXT)):
        for bit in (1, 4):
            changed = bytearray(data)
            changed[offset] ^= bit
            with pytest.raises((BadSignature, MalformedNote)):
                KEY.verifier.verify(parse_note(bytes(changed)))


def test_signatures_of_others_are_passed_over() -> None:
    other = SigningKey("other", bytes(32))
    data = KEY.sign(TEXT) + other.sign(TEXT).split(b"\n\n")[1]
    note = parse_note(data)
    KEY.verifier.verify(note)
    other.verifier.verify(note)
    with pytest.raises(UnknownKey, match=r"it is signed by lab-3 \([0-9a-f]{8}\), other"):
        SigningKey("third", bytes(32)).verifier.verify(note)
    with pytest.raises(UnknownKey):
        SigningKey("lab-3", bytes(32)).verifier.verify(note)  # of the same name


def test_a_signature_under_anothers_name_is_a_bad_one() -> None:
    line = SigningKey("lab-3", bytes(32)).sign(TEXT).split(b" ")[-1]
    forged = b64encode(KEY.verifier.key_id + b64decode(line)[4:]).decode()
    with pytest.raises(BadSignature, match="of lab-3"):
        KEY.verifier.verify(parse_note(f"{TEXT}\n\u2014 lab-3 {forged}\n".encode()))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (b"\n", "empty"),
        (b"a", "does not begin and end in a line"),
        (b"\na\n", "does not begin and end in a line"),
        (b"a\r\n", "control character"),
        (b"a\0\n", "control character"),
        (b"a\xff\n", "byte 1 is not UTF-8"),
        (b"a\n\n", "below the blank line stands no signature"),
        (b"a\n\nb\n", "not a line of a signature: 'b'"),
        ("a\n\n\u2014 x\n".encode(), "not a line of a signature"),
        ("a\n\n\u2014 x AAAA\n".encode(), "not a line of a signature"),
        ("a\n\n\u2014 x !AAAAAAAA\n".encode(), "not a line of a signature"),
        ("a\n\n\u2014 x+y AAAAAAAA\n".encode(), "not a line of a signature"),
        ("a\n\n\u2014 x AAAAAAAA\n- x AAAAAAAA\n".encode(), "not a line of a signature"),
        (b"a" * NOTE_MAX + b"\n", "bytes: a receipt is far shorter"),
    ],
)
def test_what_is_no_note(data: bytes, says: str) -> None:
    with pytest.raises(MalformedNote, match=says) as caught:
        parse_note(data)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not a verifier key"),
        ("lab-3", "not a verifier key"),
        ("lab 3+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", "not a verifier key"),
        (GO_PUBLIC.replace("c74f20a3", "c74f20a4"), "the hash in the key of PeterNeumann"),
        (GO_PUBLIC.replace("ARpc", "ARpd"), "the hash in the key of PeterNeumann"),
        (GO_PUBLIC.replace("PeterN", "PaterN"), "the hash in the key of PaterNeumann"),
        (GO_PUBLIC.replace("ARpc", "BRpc"), "of another kind"),
        (GO_PUBLIC[:-4], "of another kind"),
        (GO_PUBLIC[:-1], "not a verifier key"),
        (GO_PRIVATE, "this is a private key"),
    ],
)
def test_what_is_no_verifier_key(text: str, says: str) -> None:
    with pytest.raises(MalformedKey, match=says):
        VerifierKey.parse(text)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not a signing key"),
        (b"\xff\xfe", "not a signing key"),
        (GO_PUBLIC.encode(), "not a signing key"),
        (GO_PRIVATE.replace("AYEK", "AYEL").encode(), "the hash in the signing key"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "cannot be read"),
    ],
)
def test_what_is_no_signing_key(data: bytes, says: str) -> None:
    with pytest.raises(MalformedKey, match=says):
        SigningKey.parse(data, "lab-3")


def test_a_pem_file_of_another_kind() -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import x25519

    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    with pytest.raises(MalformedKey, match="another kind than Ed25519"):
        SigningKey.parse(x25519.X25519PrivateKey.generate().private_bytes(*form), "lab-3")


@pytest.mark.parametrize("name", ["", "lab 3", "lab+3", "lab\u20033", "lab\n3"])
def test_names_that_no_key_can_have(name: str) -> None:
    with pytest.raises(MalformedKey, match="no key can have the name"):
        SigningKey.make(name)


def test_new_keys_differ() -> None:
    a, b = SigningKey.make("x"), SigningKey.make("x")
    assert a != b
    assert SigningKey.parse(str(a).encode(), "") == a
    assert VerifierKey.parse(str(a.verifier)) == a.verifier


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    note = parse_note(KEY.sign(TEXT))
    key = KEY.verifier
    monkeypatch.setitem(sys.modules, "cryptography", None)
    for name in [name for name in sys.modules if name.startswith("cryptography.")]:
        monkeypatch.delitem(sys.modules, name)
    for act in (lambda: SigningKey.make("x"), lambda: KEY.sign(TEXT), lambda: key.verify(note)):
        with pytest.raises(CannotSign, match="A signature needs cryptography, which is not installed") as caught:
            act()
        assert caught.value.hint == f"Install it: {install_command('ezmsg-ledger[sign]')}"
    assert parse_note(TEXT.encode()).text == TEXT, "what is not signed needs no library"
