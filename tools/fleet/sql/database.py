"""The ledgers of many rigs as tables of one DuckDB database, which can be deleted at any time.

The idea: DuckDB never reads a ledger. It would take events that were not committed, fail at a line that is torn, and
guess columns from the first lines; so the tables are filled with what our own reader gives, and a ledger is read again
only when it has grown. What is asked is asked of a second connection, which can read this one file and no other.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ezmsg.ledger.errors import DamagedLedger, LedgerError, LedgerLocked, LogError
from ezmsg.ledger.events import AnyEvent
from ezmsg.ledger.extras import needed, require
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.lifetimes.archive import Progress
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.stores.addresses import without_secret
from ezmsg.ledger.tools.exits import MissingExtra
from ezmsg.ledger.tools.export.history_tables import EDGES, SESSIONS, SETTINGS, lives_of
from ezmsg.ledger.tools.export.rows import event_columns
from ezmsg.ledger.tools.export.tables import TIMES, event_batches
from ezmsg.ledger.tools.fleet.reading.rigs import Rig

if TYPE_CHECKING:
    from pyarrow import RecordBatch, Table

EXTRA, WHAT = "ezmsg-ledger[sql]", "`fleet sql`"

WHOSE: dict[str, type] = {"rig": str, "ledger": str}
"""The columns that every table begins with: the name of a rig, and the id of its ledger."""

TABLES: dict[str, dict[str, type]] = {
    "events": WHOSE | event_columns(),
    "sessions": WHOSE | SESSIONS,
    "edges": WHOSE | EDGES,
    "settings": WHOSE | SETTINGS,
    "ledgers": WHOSE | {"location": str, "first": int, "last": int, "began": int, "ended": int},
}
"""The tables by name, and the types of their columns. In ``ledgers`` are the first and the last event and their times;
``ended`` is that of the last event, whether or not more will come."""

EVENTS, LIVES = ("events",), ("sessions", "edges", "settings")
"""The tables that are filled together."""

_TYPES = {str: "VARCHAR", int: "BIGINT", bool: "BOOLEAN"}
_TIME = "TIMESTAMP WITH TIME ZONE"

_OWN = (
    "CREATE SCHEMA own",
    "CREATE TABLE own.made (statement VARCHAR)",
    "CREATE TABLE own.filled (rig VARCHAR, ledger VARCHAR, tables VARCHAR, upto VARCHAR)",
)
"""Notes on the database itself: how it was made, and how far each ledger is in which tables."""


def require_extra() -> None:
    """Raise MissingExtra when a library is not installed. Cost: a look at the disk."""
    require(["duckdb", "pyarrow"], EXTRA, WHAT, MissingExtra)


def table_definitions() -> list[str]:
    """The statements that make the tables."""
    made = [*_OWN]
    for name, columns in TABLES.items():
        typed = ", ".join(f'"{column}" {_type(column, kind)}' for column, kind in columns.items())
        made.append(f"CREATE TABLE {name} ({typed})")
    return made


def _type(column: str, kind: type) -> str:
    return _TIME if column in TIMES else _TYPES[kind]


class Database:
    """The tables of the ledgers of a fleet, in the file ``path``: one of another version is made anew.

    ``trouble`` names what could not be read, a line for each ledger.
    """

    def __init__(self, path: Path, progress: Progress | None = None) -> None:
        """Raises MissingExtra, LedgerLocked while another program fills it, LogError."""
        self._duckdb = needed("duckdb", EXTRA, WHAT, MissingExtra)
        self._pyarrow = needed("pyarrow", EXTRA, WHAT, MissingExtra)
        self._progress = progress
        self.trouble: list[str] = []
        self._connection = self._opened(path)

    def _opened(self, path: Path) -> Any:
        wanted = table_definitions()
        with suppress(self._duckdb.Error):
            connection = self._connected(path)
            with suppress(self._duckdb.Error):
                made = connection.execute("SELECT statement FROM own.made ORDER BY rowid").fetchall()
                if [statement for (statement,) in made] == wanted:
                    return connection
            connection.close()
        path.unlink(missing_ok=True)  # it is only derived, and of another version, or damaged
        Path(f"{path}.wal").unlink(missing_ok=True)
        try:
            connection = self._connected(path)
            for statement in wanted:
                connection.execute(statement)
            connection.executemany("INSERT INTO own.made VALUES (?)", [[statement] for statement in wanted])
        except self._duckdb.Error as error:
            raise LogError(f"{path} cannot be made: {_first_line(error)}") from error
        path.chmod(0o600)  # settings can name people
        return connection

    def _connected(self, path: Path) -> Any:
        try:
            return self._duckdb.connect(str(path))
        except self._duckdb.IOException as error:
            if "lock" in str(error):
                raise LedgerLocked(f"{path} is being filled by another program", hint=_LOCKED_HINT) from error
            raise

    # --- filling -----------------------------------------------------------------------------------------------------

    def fill(self, rigs: list[Rig], names: Iterable[str]) -> None:
        """Bring the tables of these ``names`` to where the ledgers of ``rigs`` are, and no others into them.

        Cost: some 10 us for each event of a ledger that has grown since; nothing for the others.
        """
        wanted = set(names)
        there: list[tuple[str, str]] = []
        self._do("DELETE FROM ledgers")
        for rig in rigs:
            try:
                with Ledger.open(rig.location, "r") as ledger:
                    timeline = Timeline(ledger, progress=self._progress)
                    whose = (rig.name, ledger.id)
                    there.append(whose)
                    self._fill_one(timeline, whose, wanted)
                    damage = timeline.damage
            except LedgerError as error:
                self.trouble.append(f"{rig.name}: {error}")
                continue
            if damage is not None:
                self.trouble.append(f"{rig.name}: {damage}")
        self._forget_all_but(there)

    def _fill_one(self, timeline: Timeline, whose: tuple[str, str], wanted: set[str]) -> None:
        ledger = timeline.ledger
        upto = "" if ledger.place.commit is None else f"{ledger.place.offset} {ledger.place.commit.sha256}"
        for tables in (EVENTS, LIVES):
            if wanted.isdisjoint(tables) or upto == self._upto(whose, tables):
                continue
            self._do("BEGIN")
            try:
                self._forget(whose, tables)
                if tables == EVENTS:
                    batches = event_batches(_sound(timeline))
                    self._insert("events", whose, self._in_ns(batches))
                else:
                    for name, table in lives_of(timeline)._asdict().items():
                        self._insert(name, whose, self._in_ns([table]))
                self._do("INSERT INTO own.filled VALUES (?, ?, ?, ?)", *whose, tables[0], upto)
                self._do("COMMIT")
            except BaseException:
                self._do("ROLLBACK")
                raise
        if "ledgers" in wanted:
            self._insert("ledgers", whose, [self._about(timeline)])

    def _about(self, timeline: Timeline) -> "Table":
        ledger, time_of = timeline.ledger, timeline.lifetimes.time_of
        first, last = ledger.first, timeline.lifetimes.seq
        began, ended = (time_of(first), time_of(last)) if last >= first else (None, None)
        row = {
            "location": without_secret(ledger.location),
            "first": first,
            "last": last,
            "began": began,
            "ended": ended,
        }
        kinds = [(name, self._pyarrow.string() if name == "location" else self._pyarrow.int64()) for name in row]
        table: Table = self._pyarrow.Table.from_pylist([row], self._pyarrow.schema(kinds))
        return table

    def _in_ns(self, batches: "Iterable[RecordBatch | Table]") -> "Iterator[RecordBatch | Table]":
        """The batches with their times as numbers: DuckDB would round them to the next microsecond."""
        for batch in batches:
            kinds = [(each.name, self._pyarrow.int64() if each.name in TIMES else each.type) for each in batch.schema]
            yield batch.cast(self._pyarrow.schema(kinds))

    def _insert(self, name: str, whose: tuple[str, str], batches: "Iterable[RecordBatch | Table]") -> None:
        columns = [column for column in TABLES[name] if column not in WHOSE]
        chosen = ", ".join(
            f'make_timestamptz("{column}" // 1000)' if column in TIMES else f'"{column}"' for column in columns
        )
        for batch in batches:
            self._connection.register("incoming", batch)
            self._do(f"INSERT INTO {name} SELECT ?, ?, {chosen} FROM incoming", *whose)
            self._connection.unregister("incoming")

    def _upto(self, whose: tuple[str, str], tables: tuple[str, ...]) -> str | None:
        """How far a ledger is in the tables; None when it is not."""
        asked = "SELECT upto FROM own.filled WHERE rig = ? AND ledger = ? AND tables = ?"
        found = self._do(asked, *whose, tables[0])
        return str(found[0][0]) if found else None

    def _forget(self, whose: tuple[str, str], tables: tuple[str, ...]) -> None:
        for name in tables:
            self._do(f"DELETE FROM {name} WHERE rig = ? AND ledger = ?", *whose)
        self._do("DELETE FROM own.filled WHERE rig = ? AND ledger = ? AND tables = ?", *whose, tables[0])

    def _forget_all_but(self, there: list[tuple[str, str]]) -> None:
        for whose in set(self._do("SELECT DISTINCT rig, ledger FROM own.filled")) - set(there):
            for tables in (EVENTS, LIVES):
                self._forget(whose, tables)

    def _do(self, statement: str, *values: object) -> list[Any]:
        # all rows are taken: a result that was not read to its end keeps the connection from being given a table
        found: list[Any] = self._connection.execute(statement, values).fetchall()
        return found

    def close(self) -> None:
        """Let the file go. Idempotent."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()


def _sound(timeline: Timeline) -> Iterator[list[AnyEvent]]:
    """The events up to the damage of a ledger, which is kept as ``timeline.damage``."""
    try:
        yield from timeline.ledger.read()
    except DamagedLedger as error:
        timeline.damage = error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


_LOCKED_HINT = "Wait until it has ended, or give another folder: --cache FOLDER."
