"""A question in SQL to the database of a fleet: it can read the tables, and nothing else on this machine."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Self

from ezmsg.ledger.extras import needed
from ezmsg.ledger.tools.exits import MissingExtra, Misuse
from ezmsg.ledger.tools.fleet.sql.database import EXTRA, TABLES, WHAT, table_definitions

LOCKED = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",
    "lock_configuration": "true",
}
"""The settings that keep a question from files, the network, and the variables of this program, for good."""

ROWS = 1000
"""Rows that are taken at a time."""


class BadQuestion(Misuse):
    """DuckDB cannot answer this, and says why."""


class Column(NamedTuple):
    """A column of an answer: its name, and its type as DuckDB calls it."""

    name: str
    type: str


class Question:
    """A SELECT, being asked. ``columns`` are those of the answer; iterating gives its rows, as tuples."""

    def __init__(self, path: Path, sql: str) -> None:
        """Raises BadQuestion, MissingExtra."""
        self._duckdb = needed("duckdb", EXTRA, WHAT, MissingExtra)
        spill = {"temp_directory": str(path.with_name("spill"))}
        self._connection = self._duckdb.connect(str(path), read_only=True, config={**LOCKED, **spill})
        try:
            self._answer = self._connection.execute(_only_statement(self._duckdb, self._connection, sql))
            self.columns = [Column(name, str(kind)) for name, kind, *_ in self._answer.description or []]
        except self._duckdb.Error as error:
            self.close()
            raise _explained(error) from error
        except BaseException:
            self.close()
            raise

    def rows(self, most: int | None = None) -> Iterator[tuple[Any, ...]]:
        """The rows of the answer, no more than ``most``. Raises BadQuestion: some faults show in the middle."""
        left = most
        while left is None or left > 0:
            try:
                some = self._answer.fetchmany(ROWS if left is None else min(left, ROWS))
            except self._duckdb.Error as error:
                raise _explained(error) from error
            if not some:
                return
            left = None if left is None else left - len(some)
            yield from some

    def close(self) -> None:
        """Let the file go. Idempotent."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()


def check(sql: str) -> None:
    """Raise BadQuestion when ``sql`` is not one SELECT, or names what is not there, before anything is read for it.

    Raises MissingExtra.
    """
    duckdb = needed("duckdb", EXTRA, WHAT, MissingExtra)
    with duckdb.connect(config=LOCKED) as connection:
        try:
            statement = _only_statement(duckdb, connection, sql)
        except duckdb.Error as error:
            raise _explained(error) from error
        for each in table_definitions():
            connection.execute(each)
        if statement.type != duckdb.StatementType.SELECT:
            return
        try:
            connection.execute(f"{_EXPLAIN}{sql}")
        except duckdb.ParserException:  # it was parsed: DESCRIBE counts as a SELECT, and is not explained
            return
        except duckdb.Error as error:
            raise _explained(error, explained=True) from error


def _only_statement(duckdb: Any, connection: Any, sql: str) -> Any:
    statements = connection.extract_statements(sql)
    if len(statements) != 1:
        raise BadQuestion(f"{WHAT} takes one SELECT, and here are {len(statements) or 'none'}", hint=_EXAMPLE)
    kind = statements[0].type
    if kind not in (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN):
        raise BadQuestion(f"{WHAT} only reads: it takes a SELECT, and not {kind.name}", hint=_EXAMPLE)
    return statements[0]


def _explained(error: Exception, explained: bool = False) -> BadQuestion:
    said, _, place = str(error).partition("\n\n")
    text, *more = said.split("\n")
    place = place.strip("\n")
    if place.startswith("LINE ") and explained:  # the first line is ours
        number, _, rest = place.removeprefix("LINE ").partition(":")
        place = f"LINE {int(number) - 1}:{rest}"
    shown = "".join(f"\n  {line}" for line in place.splitlines())
    names = text.startswith(("Catalog Error", "Binder Error"))
    return BadQuestion(text + shown, hint=" ".join(" ".join(more).split()) or (_NAMES_HINT if names else _EXAMPLE))


def tables_in(sql: str) -> list[str]:
    """The tables that a question can mean: those whose names are among its words, and all when none is.

    >>> tables_in("SELECT rig, count(*) FROM Edges GROUP BY rig")
    ['edges']
    """
    words = set(re.findall(r"\w+", sql.lower()))
    return [name for name in TABLES if name in words] or list(TABLES)


_EXPLAIN = "EXPLAIN\n"
_NAMES_HINT = f"The tables are {', '.join(TABLES)}; `DESCRIBE edges` shows the columns of one."
_EXAMPLE = "Such as: SELECT rig, count(*) FROM edges GROUP BY rig"
