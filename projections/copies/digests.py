"""Keyed digests that stand in the place of values, so that nobody can guess a short value from what stands there.

The idea: a plain digest of a short value is found again by trying all short values until one fits. Here it is keyed
with a salt, 32 random bytes that stay with the original ledger. Equal values still have equal digests: changes show.
The digest of the original is keyed too: a ledger without a short value, filled with one guess after the other, would
give the plain one away.
"""

import hmac
import os
import re
from hashlib import sha256

import msgspec

from ezmsg.ledger.audit.receipt import Receipt
from ezmsg.ledger.values import Form

SALT_BYTES = 32

DIGITS = 32
"""Hexadecimal digits of a digest: 128 bits."""

PREFIX = "redacted:"

MARKER = re.compile(rb"redacted:[0-9a-f]{%d}" % DIGITS)
"""The text that stands in the place of a value, in the bytes of a line."""


def is_marker(form: Form) -> bool:
    """Whether a value was taken out, and this is what stands in its place."""
    return type(form) is str and form.startswith(PREFIX) and MARKER.fullmatch(form.encode()) is not None


class Salt:
    """A secret that digests are keyed with. ``name`` tells it from others, and nothing about it.

    >>> salt = Salt(bytes(32))
    >>> salt.marker("S07") == salt.marker("S07") != Salt(bytes(31) + b"1").marker("S07")
    True
    """

    def __init__(self, secret: bytes) -> None:
        if len(secret) != SALT_BYTES:
            raise ValueError(f"a salt has {SALT_BYTES} bytes, not {len(secret)}")
        self.secret = secret
        self.name = self._digest(b"name", b"")[:16]

    @staticmethod
    def make() -> "Salt":
        """A new one."""
        return Salt(os.urandom(SALT_BYTES))

    def marker(self, value: Form) -> str:
        """The text in the place of a value, given as its form: ``redacted:`` and 32 hexadecimal digits."""
        return PREFIX + self._digest(b"value", msgspec.json.encode(value, order="deterministic"))[:DIGITS]

    def of_receipt(self, receipt: Receipt) -> str:
        """The keyed digest of what a receipt says of a ledger: which bytes of which file, and theirs."""
        about = f"{receipt.id} {receipt.segment} {receipt.size} {receipt.seq} {receipt.sha256}"
        return self._digest(b"origin", about.encode())

    def _digest(self, kind: bytes, data: bytes) -> str:
        return hmac.new(self.secret, kind + b"\0" + data, sha256).hexdigest()
