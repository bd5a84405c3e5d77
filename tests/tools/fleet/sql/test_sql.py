"""SQL over the ledgers of several rigs: real DuckDB, over a folder and over a stream of a real broker."""

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger.events import (
    EdgeConnected,
    EdgeDisconnected,
    Mark,
    ProcessOpened,
    ServerStarted,
    SessionClosed,
    SessionOpened,
    SettingsUpdated,
    SettingsValue,
)
from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.cli import main
from ezmsg.ledger.tools.fleet.sql.database import TABLES, Database
from ezmsg.ledger.tools.fleet.sql.question import tables_in
from tests.brokers import Node

SECOND = 10**9
BEGIN = 1_795_525_400 * SECOND + 123_456_789
ROOT = Path(__file__).parents[4]


def record(path: Path, gains: list[int]) -> None:
    """A rig with a session that connects, sets its gain so many times, and is lost."""
    times = iter(BEGIN + number * SECOND for number in range(999))
    with Ledger.open(path, durability="none", clock=times.__next__) as ledger:
        ledger.append([ServerStarted(uuid=path.stem, kind="server", name=path.stem, host="lab", pid=1)])
        [session] = ledger.append([SessionOpened(uuid=f"s-{path.stem}", label="RIG")])
        [process] = ledger.append([ProcessOpened(uuid="p")])
        ledger.append([EdgeConnected(from_topic="A", to_topic="B", owner=session.seq)])
        ledger.append([EdgeConnected(from_topic="B", to_topic="C", owner=None)])
        for gain in gains:
            value = SettingsValue(serialized=None, repr_value=f"Amp(gain={gain})", structured_value={"gain": gain})
            ledger.append([SettingsUpdated(process=process.seq, component="RIG/AMP", value=value)])
        ledger.append([EdgeDisconnected(from_topic="A", to_topic="B", owner=session.seq)])
        ledger.append([SessionClosed(session=session.seq, reason="lost", detail="eof")])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "fleet"
    found.mkdir()
    record(found / "one.ledger", [1, 2])
    record(found / "two.ledger", [7])
    return found


@pytest.fixture(params=["folder", "stream"])
def where(request: pytest.FixtureRequest, folder: Path) -> str:
    if request.param == "folder":
        return str(folder)
    node, stream = request.getfixturevalue("node"), request.getfixturevalue("stream")
    return shipped(folder, node, stream)


def shipped(folder: Path, node: Node, stream: str) -> str:
    for path in folder.glob("*.ledger"):
        assert main(["ship", str(path), node.url, "--stream", stream, "--name", path.stem]) == exits.OK
    return f"{node.url}/{stream}"


Ask = Callable[..., Any]


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Ask:
    """Asks, and gives the rows as tuples; with another ``code`` what was said."""

    def asked(where: object, sql: str, *options: str, code: int = exits.OK) -> Any:
        capsys.readouterr()
        assert main(["fleet", "sql", str(where), sql, "--json", *options]) == code
        told = capsys.readouterr()
        if code not in (exits.OK, exits.DAMAGED):
            return told.err
        return [tuple(row.values()) for row in json.loads(told.out)["rows"]]

    return asked


def test_events_are_rows(where: str, ask: Ask) -> None:
    found = ask(where, "SELECT rig, type, count(*) FROM events WHERE type LIKE 'edge.%' GROUP BY ALL ORDER BY ALL")
    assert found == [
        *(("one", "edge.connected", 2), ("one", "edge.disconnected", 1)),
        *(("two", "edge.connected", 2), ("two", "edge.disconnected", 1)),
    ]
    assert ask(where, "SELECT DISTINCT event->>'$.detail' FROM events WHERE reason = 'lost'") == [("eof",)]


def test_edges_sessions_and_settings_are_lives(where: str, ask: Ask) -> None:
    found = ask(where, "SELECT from_topic, owner, label, born, died FROM edges WHERE rig = 'one' ORDER BY born")
    assert found == [("A", 2, "RIG", 4, 8), ("B", None, None, 5, None)]
    found = ask(where, "SELECT rig, label, born, died, epoch(ended - began) FROM sessions ORDER BY rig")
    assert found == [("one", "RIG", 2, 9, 7.0), ("two", "RIG", 2, 8, 6.0)]
    found = ask(where, "SELECT rig, component, value::JSON->>'$.gain', born, died FROM settings ORDER BY rig, born")
    assert [row[:3] for row in found] == [
        *(("one", "RIG/AMP", "1"), ("one", "RIG/AMP", "2"), ("two", "RIG/AMP", "7")),
    ]
    found = ask(where, "SELECT rig, first, last FROM ledgers ORDER BY rig")
    assert found == [("one", 1, 9), ("two", 1, 8)]


def test_ledgers_are_told_by_their_ids(where: str, folder: Path, ask: Ask) -> None:
    ids = {}
    for path in folder.glob("*.ledger"):
        with Ledger.open(path, "r") as ledger:
            ids[path.stem] = ledger.id
    assert dict(ask(where, "SELECT DISTINCT rig, ledger FROM edges")) == ids
    assert dict(ask(where, "SELECT DISTINCT rig, ledger FROM events")) == ids


def test_times_are_cut_to_the_microsecond(folder: Path, ask: Ask) -> None:
    [found] = ask(folder, "SELECT time, event->>'$.time' FROM events WHERE rig = 'one' AND seq = 1")
    assert found == ("2026-11-24T13:03:21.123456Z", str(BEGIN + SECOND))


def test_an_answer_as_a_table_and_as_csv(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sql = (
        "SELECT rig, died, [1, 2] AS list, 'a,\"b' AS text, true AS yes FROM edges WHERE from_topic = 'B' ORDER BY rig"
    )
    assert main(["fleet", "sql", str(folder), sql, "--csv"]) == exits.OK
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out, newline="")))
    assert rows == [
        ["rig", "died", "list", "text", "yes"],
        *[[rig, "", "[1,2]", 'a,"b', "true"] for rig in ("one", "two")],
    ]
    assert main(["fleet", "sql", str(folder), sql]) == exits.OK
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["rig", "died", "list", "text", "yes"]
    assert [line.split() for line in lines] == [[rig, "NULL", "[1,2]", 'a,"b', "true"] for rig in ("one", "two")]
    assert main(["fleet", "sql", str(folder), "SELECT range FROM range(150)"]) == exits.OK
    assert "more rows (--full" in capsys.readouterr().out
    assert main(["fleet", "sql", str(folder), "SELECT range FROM range(150)", "--full"]) == exits.OK
    assert len(capsys.readouterr().out.splitlines()) == 151
    assert main(["fleet", "sql", str(folder), "EXPLAIN SELECT 1"]) == exits.OK
    assert "Projection" in capsys.readouterr().out
    assert main(["fleet", "sql", str(folder), "DESCRIBE settings"]) == exits.OK
    assert "component" in capsys.readouterr().out


def test_every_kind_of_value_is_printed(folder: Path, ask: Ask, capsys: pytest.CaptureFixture[str]) -> None:
    sql = (
        "SELECT 'nan'::DOUBLE, 1.5::DECIMAL(4, 2), {'a': [1]}, map {2: 'b'}, INTERVAL 3 DAY, '\\xAA'::BLOB,"
        " DATE '2026-01-02', TIME '10:00', 170141183460469231731687303715884105727, TIMESTAMP '2026-01-02 03:04:05'"
    )
    [found] = ask(folder, sql)
    assert found == (
        *(None, "1.50", {"a": [1]}, {"2": "b"}, "P3D", "\\xaa"),
        *("2026-01-02", "10:00:00", 170141183460469231731687303715884105727, "2026-01-02T03:04:05"),
    )
    for form, shown in (("--csv", '"{""a"":[1]}"'), ("--full", '{"a":[1]}')):
        assert main(["fleet", "sql", str(folder), sql, form]) == exits.OK
        assert shown in capsys.readouterr().out


# --- what is in the tables, and what is not ---


def test_what_was_not_committed_never_happened(folder: Path, ask: Ask) -> None:
    with (folder / "two.ledger").open("ab") as file:
        file.write(b'{"type":"mark","seq":9,"time":1,"name":"not committed"}\n{"type":"mar')
    assert ask(folder, "SELECT name FROM events WHERE type = 'mark'") == []
    assert ask(folder, "SELECT count(*) FROM events") == [(17,)]


def test_a_damaged_ledger_is_named_and_the_others_are_told(
    folder: Path, ask: Ask, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "three.ledger").write_bytes(b"not a ledger\n")
    data = (folder / "two.ledger").read_bytes()
    (folder / "two.ledger").write_bytes(data.replace(b'"RIG/AMP"', b'"RIG/AMX"'))
    for table in ("events", "edges"):
        found = ask(folder, f"SELECT rig, count(*) FROM {table} GROUP BY rig", code=exits.DAMAGED)
        assert dict(found)["one"] == {"events": 9, "edges": 2}[table]
    assert main(["fleet", "sql", str(folder), "SELECT count(*) FROM edges"]) == exits.DAMAGED
    assert "three" in capsys.readouterr().err


# --- a cache ---


def test_a_cache_keeps_ledgers_and_tables(
    where: str, folder: Path, tmp_path: Path, ask: Ask, request: pytest.FixtureRequest
) -> None:
    cache = tmp_path / "cache"
    asked = ("SELECT rig, count(*) FROM events GROUP BY rig ORDER BY rig", "--cache", str(cache))
    assert ask(where, *asked) == [("one", 9), ("two", 8)]
    assert (cache / "fleet.duckdb").stat().st_mode & 0o077 == 0
    with Ledger.open(folder / "one.ledger", durability="none") as ledger:
        ledger.append([Mark(name="later")])
    if "://" in where:
        assert len(list(cache.glob("*.ledger"))) == 2
        assert (next(cache.glob("two*.ledger"))).read_bytes() == (folder / "two.ledger").read_bytes()
        node, stream = request.getfixturevalue("node"), request.getfixturevalue("stream")
        shipped(folder, node, stream)
    assert ask(where, *asked) == [("one", 10), ("two", 8)]
    assert ask(where, "SELECT count(*) FROM edges", "--cache", str(cache)) == [(4,)]
    assert ask(where, *asked) == [("one", 10), ("two", 8)]


def test_a_ledger_that_is_gone_is_not_in_the_tables(folder: Path, tmp_path: Path, ask: Ask) -> None:
    asked = ("SELECT DISTINCT rig FROM edges ORDER BY rig", "--cache", str(tmp_path / "cache"))
    assert ask(folder, *asked) == [("one",), ("two",)]
    (folder / "two.ledger").unlink()
    assert ask(folder, *asked) == [("one",)]
    (folder / "one.ledger").unlink()
    record(folder / "one.ledger", [5, 6, 7, 8])  # another one of the same name
    found = ask(folder, "SELECT count(*) FROM settings", "--cache", str(tmp_path / "cache"))
    assert found == [(4,)]


def test_a_ledger_that_has_not_grown_is_not_read_again(folder: Path, tmp_path: Path, ask: Ask) -> None:
    cache = tmp_path / "cache"
    ask(folder, "SELECT 1 FROM events", "--cache", str(cache))
    with Database(cache / "fleet.duckdb") as database:  # what stands there is believed
        database._do("UPDATE events SET name = 'kept'")
    assert ask(folder, "SELECT count(*) FROM events WHERE name = 'kept'", "--cache", str(cache)) == [(17,)]


@pytest.mark.parametrize("content", [b"", b"not a database", "CREATE TABLE events (x INTEGER)"])
def test_a_cache_of_another_version_or_damaged_is_made_anew(
    folder: Path, tmp_path: Path, ask: Ask, content: bytes | str
) -> None:
    path = tmp_path / "fleet.duckdb"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        import duckdb

        with duckdb.connect(str(path)) as connection:
            connection.execute(content)
    assert ask(folder, "SELECT count(*) FROM events", "--cache", str(tmp_path)) == [(17,)]


def test_two_that_fill_one_cache(folder: Path, tmp_path: Path, ask: Ask) -> None:
    with Database(tmp_path / "fleet.duckdb"):
        code = f"import sys; from ezmsg.ledger.tools.cli import main; sys.exit(main({['fleet', 'sql', str(folder), 'SELECT 1', '--cache', str(tmp_path)]}))"  # noqa: E501
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == exits.LOCKED, done.stderr
    assert "--cache FOLDER" in done.stderr


# --- what cannot be asked ---


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("SELECT * FROM evnts", 'Did you mean "events"'),
        ("SELECT rig,\n colour FROM edges", "LINE 2"),
        ("SELEC 1", "syntax error"),
        ("", "one SELECT"),
        ("SELECT 1; SELECT 2", "here are 2"),
        ("SELECT 'x'::INTEGER", "Could not convert"),
        ("SELECT value::INTEGER FROM settings", "Could not convert"),
        ("DROP TABLE edges", "only reads"),
        ("INSERT INTO edges (rig) VALUES ('x')", "only reads"),
        ("CREATE TABLE x AS SELECT 1", "only reads"),
        ("ATTACH '{tmp}/x.duckdb' AS x", "only reads"),
        ("COPY edges TO '{tmp}/x.csv'", "only reads"),
        ("SET enable_external_access = true", "only reads"),
        ("INSTALL httpfs", "only reads"),
        ("SELECT * FROM read_csv('/etc/passwd')", "disabled by configuration"),
        ("SELECT * FROM read_text('/etc/passwd')", "disabled by configuration"),
        ("SELECT * FROM glob('/*')", "disabled by configuration"),
        ("SELECT * FROM '/etc/passwd'", "does not exist"),
        ("SELECT * FROM read_json('{tmp}/fleet/one.ledger')", "disabled by configuration"),
        ("SELECT * FROM connection", "does not exist"),
        ("SELECT 1 AS a, 2 AS a", "several columns are called a"),
    ],
)
def test_what_cannot_be_asked_is_one_message(folder: Path, tmp_path: Path, ask: Ask, sql: str, told: str) -> None:
    before = sorted(tmp_path.rglob("*"))
    said = ask(folder, sql.replace("{tmp}", str(tmp_path)), code=exits.USAGE)
    assert told in said
    assert said.count("ezmsg-ledger: ") == 1
    assert "Traceback" not in said
    assert sorted(tmp_path.rglob("*")) == before, "nothing is left, and nothing is written"


def test_options_that_do_not_belong_together(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fleet", "list", str(folder), "--csv"]) == exits.USAGE
    assert main(["fleet", "list", str(folder), "--cache", str(folder)]) == exits.USAGE
    assert main(["fleet", "sql", str(folder), "SELECT 1", "--csv", "--json"]) == exits.USAGE
    assert main(["fleet", "sql", str(folder)]) == exits.USAGE
    capsys.readouterr()


def test_only_the_tables_that_are_named_are_filled() -> None:
    assert tables_in("SELECT * FROM Edges JOIN sessions USING (rig)") == ["sessions", "edges"]
    assert tables_in("SHOW TABLES") == list(TABLES)
