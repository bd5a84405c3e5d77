"""The events of a recording, read from the bytes of its files alone: a history may consist of these, and no others."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ezmsg.ledger.storage import compression
from ezmsg.ledger.tools.selftest.broken import Broken


@dataclass
class Truth:
    """Every event that was committed, as its line, by its seq; the ``heads`` that a history may end with, the last seqs
    of commits; and the ``firsts`` that it may begin with, the first ones of files."""

    events: dict[int, bytes] = field(default_factory=dict)
    heads: set[int] = field(default_factory=lambda: {0})
    firsts: set[int] = field(default_factory=lambda: {1})

    @property
    def head(self) -> int:
        return max(self.heads)

    def seq_of(self, **fields: Any) -> int:
        """The seq of the first event that has these fields with these values."""
        for seq, line in sorted(self.events.items()):
            event = json.loads(line)
            if all(event.get(name) == value for name, value in fields.items()):
                return seq
        raise Broken(f"an event was acknowledged that is nowhere: {fields}")


def truth_of(files: Iterable[bytes]) -> Truth:
    """What files tell together. Raises Broken when two of them have another event of one seq. Cost: O(bytes)."""
    truth = Truth()
    for data in files:
        pending: dict[int, bytes] = {}
        first = True
        for line in unpacked(data).split(b"\n")[:-1]:
            entry = json.loads(line)
            if entry["type"] == "ledger.commit":
                for seq, event in pending.items():
                    if truth.events.setdefault(seq, event) != event:
                        raise Broken(f"seq {seq} was given twice: {truth.events[seq]!r}, {event!r}")
                truth.heads.add(entry["upto"])
                if first:
                    truth.firsts.add(entry["upto"] + 1)
                pending, first = {}, False
            elif not entry["type"].startswith("ledger."):
                pending[entry["seq"]] = line
    return truth


def unpacked(data: bytes) -> bytes:
    """The bytes of a file, decompressed where it is compressed."""
    if not data.startswith(b"\x28\xb5\x2f\xfd"):
        return data
    unpacker = compression.library().ZstdDecompressor().decompressobj(read_across_frames=True)
    return bytes(unpacker.decompress(data))
