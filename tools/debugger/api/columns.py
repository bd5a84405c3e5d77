"""The lifetimes of a ledger as octets: columns that a page masks any moment with, without asking again.

The form is described in docs/debugger/API.md. It is made from what ``Lifetimes.column`` gives, wherever that lies, and
says nothing of how an index is laid out. Numbers are little-endian and seqs take 4 bytes: the low words of an 8-byte
column, which a strided view copies without a loop; what is open (2^63 - 1) becomes 2^32 - 1 that way.
"""

import sys
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from itertools import compress
from operator import ge
from typing import Any

import msgspec

from ezmsg.ledger.projections.lifetimes.lifetimes import Lifetimes

MAGIC = b"EZML"
VERSION = 1
ALIGNED = 8

LASTS = 2**32 - 1
"""The value of ``died`` in the octets while a thing lives."""

SEQ_MAX = LASTS - 1
"""The last seq that the octets have room for."""

HOLDS_MAX = 5_000_000
"""Rows of holds in one answer: 80 MB, and 3 ms to mask a moment. Of a longer history the part in a window is given."""

SETTINGS_MAX = 1_000_000
"""Rows of settings in one answer; of more, those of one component at a time."""

STEPS_KEPT = 64
"""Answers whose ends are remembered, so that the next one can go on there."""


class TooLong(ValueError):
    """The seqs of a ledger do not fit into 4 bytes."""


class Step(msgspec.Struct, frozen=True):
    """The extent of an answer: rows of each table."""

    holds: int = 0
    edges: int = 0
    topics: int = 0
    facts: int = 0
    keys: int = 0
    values: int = 0
    settings: int = 0
    times: int = 0


class Columns:
    """Gives the octets of one ledger's lifetimes: all of them, or what has come and gone since an earlier answer.

    ``epoch`` names the history: rows of another one have nothing to do with these.
    """

    def __init__(self, epoch: int = 1) -> None:
        self.epoch = epoch
        self._facts = array("I")  # the rows of all facts but settings
        self._settings = array("I")  # the rows of settings, while they are not too many
        self._settings_count = 0
        self._looked = self._plain_looked = 0
        self._values: dict[int, int] = {}  # places of values in the ledger -> in the octets
        self._kept: list[Any] = []
        self._steps: dict[int, Step] = {}

    def octets(self, lifetimes: Lifetimes, after: int = 0, window: tuple[int, int] | None = None) -> bytes:
        """Give all rows, or, when ``after`` is the ``head`` of an answer that was given, those that are new since.

        ``window`` (first, last): only the holds that stood at some time between these seqs. Raises TooLong.
        Cost: O(rows), a copy; since an earlier answer O(what stands and what is new).
        """
        if lifetimes.seq > SEQ_MAX:
            raise TooLong(f"the octets have room for {SEQ_MAX} events")
        self._look(lifetimes)
        before = self._steps.get(after) if after and window is None else None
        start = before or Step()
        after = after if before is not None else 0
        rows = range(start.holds, len(lifetimes.column("hold.born")))
        cut = window
        if window is None and len(rows) > HOLDS_MAX:
            cut = (lifetimes.column("hold.born")[rows[-HOLDS_MAX]], lifetimes.seq)
        head: dict[str, Any] = {
            "version": VERSION,
            "epoch": self.epoch,
            "after": after,
            "head": lifetimes.seq,
            "window": cut,
            "topics": lifetimes.topics[start.topics :],
            "keys": lifetimes.keys[start.keys :],
            "settings_kept": self._settings_count <= SETTINGS_MAX,
            "settings_count": self._settings_count,
        }
        columns: dict[str, tuple[str, bytes]] = {}
        self._add_holds(columns, lifetimes, rows, cut)
        for side in ("from", "to"):
            columns[f"edge.{side}"] = ("u32", _words(lifetimes.column(f"edge.{side}"), start.edges))
        self._add_facts(columns, lifetimes, start)
        if after:
            self._add_ends(columns, lifetimes, start, after)
        columns["time.seq"] = ("u32", _low(lifetimes.column("time.seq"), start.times))
        columns["time.ns"] = ("i64", _octets(lifetimes.column("time.ns"), start.times))
        head["values"] = self._kept[start.values :]
        if cut is None:
            self._remember(lifetimes)
        return _packed(head, columns)

    def settings(self, lifetimes: Lifetimes, component: str) -> bytes:
        """The octets of one component's settings: when each value came and went. Cost: O(settings)."""
        wanted = [place for place, key in enumerate(lifetimes.keys) if key == ("setting", component)]
        keys = lifetimes.column("fact.key")
        rows = list(compress(range(len(keys)), map(wanted[0].__eq__, keys))) if wanted else []
        columns: dict[str, tuple[str, bytes]] = {}
        self._add_settings(columns, lifetimes, rows)
        head = {"version": VERSION, "epoch": self.epoch, "after": 0, "head": lifetimes.seq, "component": component}
        return _packed(head, columns)

    # --- parts -------------------------------------------------------------------------------------------------------

    def _look(self, lifetimes: Lifetimes) -> None:
        """Tell rows of settings from others, of all that were not looked at before."""
        self._facts = lifetimes.plain_rows()
        column = lifetimes.column("fact.key")
        self._settings_count = len(column) - len(self._facts)
        if self._settings_count > SETTINGS_MAX:
            return
        plain = set(self._facts[self._plain_looked :])
        self._settings.extend(row for row in range(self._looked, len(column)) if row not in plain)
        self._plain_looked, self._looked = len(self._facts), len(column)

    @staticmethod
    def _add_holds(
        columns: dict[str, tuple[str, bytes]], lifetimes: Lifetimes, rows: range, window: tuple[int, int] | None
    ) -> None:
        named = {name: lifetimes.column(f"hold.{name}") for name in ("born", "died", "edge", "owner")}
        if window is None:
            for name, column in named.items():
                take = _words if name == "edge" else _low
                columns[f"hold.{name}"] = ("u32", take(column, rows.start))
            return
        first, last = window
        upto = bisect_right(named["born"], last)
        there = list(compress(range(upto), map(ge, named["died"][:upto], [first + 1] * upto)))
        for name, column in named.items():
            words = array("I", [min(column[row], LASTS) for row in there])
            columns[f"hold.{name}"] = ("u32", _octets(words))

    def _add_facts(self, columns: dict[str, tuple[str, bytes]], lifetimes: Lifetimes, start: Step) -> None:
        rows = self._facts[start.facts :]
        self._add_rows(columns, "fact", lifetimes, rows)
        value = lifetimes.column("fact.value")
        columns["fact.value"] = ("u32", _octets(array("I", [self._place(lifetimes, value[row]) for row in rows])))
        if self._settings_count <= SETTINGS_MAX:
            self._add_settings(columns, lifetimes, self._settings[start.settings :])

    def _add_settings(
        self, columns: dict[str, tuple[str, bytes]], lifetimes: Lifetimes, rows: Sequence[int]
    ) -> None:
        self._add_rows(columns, "setting", lifetimes, rows)

    @staticmethod
    def _add_rows(
        columns: dict[str, tuple[str, bytes]], name: str, lifetimes: Lifetimes, rows: Sequence[int]
    ) -> None:
        for part in ("key", "born", "died"):
            column = lifetimes.column(f"fact.{part}")[:]  # one beside the other: that is faster
            words = array("I", [min(column[row], LASTS) for row in rows])
            columns[f"{name}.{part}"] = ("u32", _octets(words))

    def _add_ends(
        self, columns: dict[str, tuple[str, bytes]], lifetimes: Lifetimes, start: Step, after: int
    ) -> None:
        """Rows of earlier answers that have ended since, or are said to be something else now."""
        died = lifetimes.column("hold.died")
        ended = [row for row in lifetimes.holds_at(after) if row < start.holds and died[row] < 2**63 - 1]
        columns["ended.row"] = ("u32", _octets(array("I", ended)))
        columns["ended.died"] = ("u32", _octets(array("I", [died[row] for row in ended])))
        died, value = lifetimes.column("fact.died"), lifetimes.column("fact.value")
        for name, kept, number in (("fact", self._facts, start.facts), ("setting", self._settings, start.settings)):
            if name == "setting" and self._settings_count > SETTINGS_MAX:
                continue
            places = [place for place in range(number) if died[kept[place]] > after]
            columns[f"{name}.ended.row"] = ("u32", _octets(array("I", places)))
            ends = [min(died[kept[place]], LASTS) for place in places]
            columns[f"{name}.ended.died"] = ("u32", _octets(array("I", ends)))
            if name == "fact":
                values = [self._place(lifetimes, value[kept[place]]) for place in places]
                columns["fact.ended.value"] = ("u32", _octets(array("I", values)))

    def _place(self, lifetimes: Lifetimes, value: int) -> int:
        place = self._values.get(value)
        if place is None:
            place = self._values[value] = len(self._kept)
            self._kept.append(lifetimes.value(value))
        return place

    def _remember(self, lifetimes: Lifetimes) -> None:
        self._steps.pop(lifetimes.seq, None)
        self._steps[lifetimes.seq] = Step(
            holds=len(lifetimes.column("hold.born")),
            edges=len(lifetimes.column("edge.to")),
            topics=len(lifetimes.topics),
            facts=len(self._facts),
            keys=len(lifetimes.keys),
            values=len(self._kept),
            settings=len(self._settings),
            times=len(lifetimes.column("time.seq")),
        )
        while len(self._steps) > STEPS_KEPT:
            del self._steps[next(iter(self._steps))]


def _packed(head: dict[str, Any], columns: dict[str, tuple[str, bytes]]) -> bytes:
    """Magic, version, the length of the head, the head as JSON, then the columns, each at a multiple of 8."""
    offset = 0
    table = {}
    parts = []
    for name, (kind, data) in columns.items():
        table[name] = {"type": kind, "offset": offset, "length": len(data) // (8 if kind == "i64" else 4)}
        padding = -len(data) % ALIGNED
        parts += [data, bytes(padding)]
        offset += len(data) + padding
    written = msgspec.json.encode({**head, "columns": table})
    written += b" " * (-(12 + len(written)) % ALIGNED)
    first = MAGIC + VERSION.to_bytes(4, "little") + len(written).to_bytes(4, "little")
    return b"".join([first, written, *parts])


def _low(column: Any, start: int) -> bytes:
    """The low words of an 8-byte column from a row on, little-endian. Cost: O(rows), in C."""
    if sys.byteorder == "little":
        return memoryview(column[start:]).cast("B").cast("I")[::2].tobytes()
    return _octets(array("I", [min(each, LASTS) for each in column[start:]]))


def _words(column: Any, start: int) -> bytes:
    """A 4-byte column from a row on, little-endian."""
    return _octets(column, start)


def _octets(column: Any, start: int = 0) -> bytes:
    """A column's bytes from a row on, little-endian."""
    view = memoryview(column[start:])
    if sys.byteorder == "little":
        return view.tobytes()
    swapped = array(view.format, view)
    swapped.byteswap()
    return swapped.tobytes()
