"""The peer of the log: the same events as rows of an SQLite table."""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import msgspec

from ezmsg.ledger import codec
from ezmsg.ledger.events import EVENT_TYPES, Event
from ezmsg.ledger.storage.writing.stamp import stamp

FETCHED = 1000
"""Rows fetched at once while reading: larger and smaller numbers were slower."""

_TAGS = {cls: tag for tag, cls in EVENT_TYPES.items()}


class Table:
    """One row per event: seq, time, type, and the event as JSON, encoded by the codec that the log uses.

    SQLite at its best: write-ahead log, one transaction per commit, the payload as bytes, which spares it a check.
    """

    def __init__(self, path: Path, synchronous: str) -> None:
        self._encode = msgspec.json.Encoder().encode
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute(f"PRAGMA synchronous={synchronous}")
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS events"
            " (seq INTEGER PRIMARY KEY, time INTEGER NOT NULL, type TEXT NOT NULL, payload BLOB NOT NULL)"
        )
        self._seq = self.count()

    def append(self, events: Sequence[Event]) -> None:
        """Stamp and insert ``events`` in one transaction."""
        encode = self._encode
        stamped = stamp(events, self._seq, time.time_ns())
        rows = [(event.seq, event.time, _TAGS[type(event)], encode(event)) for event in stamped]
        execute = self._database.execute
        execute("BEGIN")
        self._database.executemany("INSERT INTO events VALUES (?, ?, ?, ?)", rows)
        execute("COMMIT")
        self._seq += len(rows)

    def read(self) -> Iterator[list[Any]]:
        """All events in order, in batches of FETCHED. Lines are joined, so that they too are decoded in one call."""
        cursor = self._database.execute("SELECT payload FROM events ORDER BY seq")
        while rows := cursor.fetchmany(FETCHED):
            yield codec.decode(b"\n".join([payload for (payload,) in rows]) + b"\n")

    def count(self) -> int:
        found: int = self._database.execute("SELECT count(*) FROM events").fetchone()[0]
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._database.close()
