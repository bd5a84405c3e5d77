"""``status`` and ``mark``: asking a recorder that is running."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev
from ezmsg.ledger.projections import Timeline
from ezmsg.ledger.runtime.asking import NoAnswer, ask
from ezmsg.ledger.runtime.journal import Degraded
from ezmsg.ledger.runtime.server import GraphServer
from ezmsg.ledger.tools.cli import main
from ezmsg.ledger.tools.status import lines


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GraphServer]:
    server = GraphServer(tmp_path / "run.ledger")
    server.start(("127.0.0.1", 0))
    yield server
    server.stop()


def test_status_says_what_is_recorded_where(server: GraphServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", str(server.address)]) == 0
    out = capsys.readouterr().out
    assert f"run.ledger at {server.address}" in out
    assert "0 sessions, 0 processes" in out
    assert main(["status", str(server.address), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["degraded"] is None
    assert answer["seq"] == 1
    assert answer["ledger"] == str(server.live.ledger.location)  # type: ignore[union-attr]


def test_a_mark_is_a_moment(server: GraphServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mark", "glitch", "--note", "a click", "--author", "me", "--address", str(server.address)]) == 0
    assert "mark:glitch" in capsys.readouterr().out
    server.stop()
    with Ledger.open(tmp_path / "run.ledger", "r") as ledger:
        [mark] = [event for event in ledger.entries() if isinstance(event, ev.Mark)]
        assert (mark.name, mark.note, mark.author) == ("glitch", "a click", "me")
        assert Timeline(ledger).moment("mark:glitch").seq == mark.seq


def test_the_address_comes_from_ezmsgs_variable(
    server: GraphServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EZMSG_GRAPHSERVER_ADDR", str(server.address))
    assert main(["status"]) == 0
    assert str(server.address) in capsys.readouterr().out


def test_a_request_that_means_nothing_is_answered_and_recorded(server: GraphServer) -> None:
    with pytest.raises(NoAnswer, match="knows head, mark, receipt, status, but no 'dance'"):
        ask(str(server.address), "dance")
    with pytest.raises(NoAnswer, match="needs a name"):
        ask(str(server.address), "mark")
    assert ask(str(server.address), "head")["seq"] == 3
    assert server.live is not None
    refused = [event for event in server.live.ledger.entries() if isinstance(event, ev.CommandRejected)]
    assert [event.command for event in refused] == ["private", "private"]


def test_a_receipt_is_the_last_commit_line(server: GraphServer) -> None:
    assert server.live is not None
    answer = ask(str(server.address), "receipt")
    assert answer["receipt"] == server.live.ledger.receipt
    assert json.loads(answer["receipt"])["type"] == "ledger.commit"


def test_nobody_there(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        assert main(["status", address]) == 1
    err = capsys.readouterr().err
    assert f"no recorder answers at {address}" in err
    assert "hint:" in err


def test_what_is_no_address(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "nonsense"]) == 1
    err = capsys.readouterr().err
    assert "'nonsense' is not an address: host, colon, and a port" in err
    assert "invalid literal" not in err


def test_the_stock_server_is_no_recorder(capsys: pytest.CaptureFixture[str]) -> None:
    from ezmsg.core.graphserver import GraphServer as Stock

    stock = Stock()
    stock.start(("127.0.0.1", 0))
    try:
        assert main(["mark", "here", "--address", str(stock.address)]) == 1
        assert "is no recorder" in capsys.readouterr().err
    finally:
        stock.stop()


def test_a_degraded_recorder_says_so() -> None:
    import msgspec

    degraded = msgspec.to_builtins(Degraded(since=10**18, error="disk full", waiting=7, lost=True))
    numbers = dict.fromkeys(
        ("sessions", "processes", "publishers", "subscribers", "channels", "segments", "edges", "components"), 0
    )
    answer = {
        "ledger": "x", "now": 2, "started": 1, "seq": 9, "durable_seq": 4, "durability": "commit",
        "bytes": 1_234_567, "bytes_per_hour": 42_000, "stalled": ["A/IN"], "degraded": degraded, **numbers,
    }  # fmt: skip
    out = "\n".join(lines("here:1", answer))
    assert "DEGRADED" in out
    assert "7 events wait in memory; some are LOST already" in out
    assert "5 events not yet on the disk" in out
    assert "1.23 MB on the disk, 42 kB more an hour" in out
    assert "stalled: the subscriber of A/IN" in out
