"""``status`` and ``mark``: asking a recorder that is running."""

import json
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev
from ezmsg.ledger.projections import Timeline
from ezmsg.ledger.runtime import GraphServer
from ezmsg.ledger.runtime.client import line
from ezmsg.ledger.runtime.recorder import control_client
from ezmsg.ledger.runtime.recorder.control_client import NoAnswer, ask
from ezmsg.ledger.runtime.spool import Degraded
from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.cli import main
from ezmsg.ledger.tools.commands.record.status import _disk, lines


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
    assert "seq 2, " in out
    assert "of at most" in out
    columns = {line[:12].rstrip(): line[14:] for line in out.splitlines()[1:]}
    assert list(columns) == ["  ledger", "  disk", "  durability", "  clients", "  graph", "  sockets"]
    assert not any(text.startswith(" ") for text in columns.values()), "aligned"
    assert main(["status", str(server.address), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["degraded"] is None
    assert answer["seq"] == 2
    assert answer["ledger"] == str(server.live.ledger.location)  # type: ignore[union-attr]


def test_status_says_when_the_disk_will_be_full() -> None:
    disk: dict[str, Any] = {"free": 3 * 10**9, "total": 10**12, "min_free": 10**9, "low": False, "hours_left": None}
    assert [row.text for row in _disk(disk)] == ["3 GB free of 1 TB"]
    disk |= {"hours_left": 26.5}
    assert [row.text for row in _disk(disk)] == ["3 GB free of 1 TB, full in 1 d 2 h at the present rate"]
    disk |= {"low": True, "free": 10**8}
    [row] = _disk(disk)
    assert (row.text.endswith(" at the present rate; that is less than 1 GB"), row.tone) == (True, "warn")
    assert _disk(None) == []


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
    with pytest.raises(NoAnswer, match="knows evict, head, mark, receipt, rewire, status, but not 'dance'"):
        ask(str(server.address), "dance")
    with pytest.raises(NoAnswer, match="needs a name"):
        ask(str(server.address), "mark")
    assert ask(str(server.address), "head")["seq"] == 4
    assert server.live is not None
    refused = [event for event in server.live.ledger.entries() if isinstance(event, ev.CommandRejected)]
    assert [event.command for event in refused] == ["PRIVATE", "PRIVATE"]


@pytest.mark.parametrize(
    "request_",
    [
        *(b"", b"{", b"[1]", b"\xe1", b'{"do":3}', b'{"do":"\xff"}'),
        *(b'{"do":"mark","note":{}}', b'{"do":"mark","name":"\\ud800"}'),
    ],
)
def test_a_request_that_is_none_is_answered_too(server: GraphServer, request_: bytes) -> None:
    with socket.create_connection(server.address, 5.0) as connection:
        connection.sendall(b"\xf0" + len(request_).to_bytes(8, "little") + request_)
        with connection.makefile("rb") as said:
            said.read(int.from_bytes(said.read(8), "little"))
            reply = json.loads(said.read(int.from_bytes(said.read(8), "little")))
    assert list(reply) == ["error"]
    assert ask(str(server.address), "head")["seq"] == 3
    assert ask(str(server.address), "status")["last_error"] is None


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
    assert f"no recorder answers at {address}: Connection refused\n" in err
    assert "hint:" in err


def test_a_ledger_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", str(tmp_path / "monday.ledger")]) == exits.USAGE
    assert f"there is no file {tmp_path / 'monday.ledger'}" in capsys.readouterr().err


def test_what_is_no_address(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "nonsense"]) == exits.USAGE
    err = capsys.readouterr().err
    assert "'nonsense' is not an address: host, colon, and a port" in err
    assert "invalid literal" not in err


@pytest.mark.parametrize(
    ("greeting", "ends", "does"),
    [(b"", False, "says nothing"), (b"SSH-2.0-OpenSSH_9.2\r\n", False, "says something else"), (b"", True, "ends the")],
)
@pytest.mark.parametrize("command", ["status", "attach"])
def test_another_program_at_the_address(
    command: str,
    greeting: bytes,
    ends: bool,
    does: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(control_client, "TIMEOUT_S", 0.5)
    monkeypatch.setattr(line, "TIMEOUT_S", 0.5)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        held = []

        def answer() -> None:
            with suppress(OSError):
                while True:
                    held.append(other.accept()[0])
                    held[-1].sendall(greeting)
                    if ends:
                        held[-1].close()

        threading.Thread(target=answer, daemon=True).start()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        assert main([command, address]) != exits.OK
        other.shutdown(socket.SHUT_RDWR)
        for each in held:
            each.close()
    err = capsys.readouterr().err
    assert f"what listens at {address} does not answer as a graph server does: it {does}" in err
    assert "Another program may have that port" in err
    assert list(tmp_path.iterdir()) == []


def test_the_stock_server_is_no_recorder(capsys: pytest.CaptureFixture[str]) -> None:
    from ezmsg.core.graphserver import GraphServer as Stock

    stock = Stock()
    stock.start(("127.0.0.1", 0))
    try:
        assert main(["mark", "here", "--address", str(stock.address)]) == 1
        assert "is not a recorder" in capsys.readouterr().err
    finally:
        stock.stop()


def test_a_degraded_recorder_says_so() -> None:
    import msgspec

    degraded = msgspec.to_builtins(Degraded(since=10**18, error="disk full", waiting=7, lost=True, noted=False))
    numbers = dict.fromkeys(
        ("sessions", "processes", "publishers", "subscribers", "channels", "edges", "components", "connections"), 0
    )
    answer = {
        "ledger": "x", "bytes": 3_500_000, "bytes_per_hour": 42_000, "now": 2, "started": 1, "seq": 9, "durable_seq": 4,
        "durability": "commit", "lag": 12_000_000, "rate": 1234.5, "connections_max": 100, "pending_bytes": 10,
        "segments": 1, "segment_bytes": 2**21, "turned_away": {"host_not_allowed": 3}, "refused": 4,
        "streams": {"topology": 2, "settings": 0, "profiling": 0},
        "backlogs": [{"stream": "topology", "peer": "10.0.0.7:1", "entries": 99}],
        "slowest_acks": [{"topic": "B/IN", "peer": "10.0.0.7:2", "took": 250_000_000}],
        "stalled": ["A/IN"], "degraded": degraded, "last_error": {"time": 10**18, "error": "disk full"}, **numbers,
    }  # fmt: skip
    out = _said(answer)
    assert "DEGRADED    since 2001-09-09 " in out
    assert "7 events in memory; some are LOST already" in out
    assert "if it ends now, NOBODY WILL KNOW what is lost" in out
    assert "5 events not yet on the disk, for 12 ms" in out
    assert "stalled     the subscriber of A/IN" in out
    assert "ledger      seq 9, 1234.5 events/s, 3.5 MB, 42 kB more an hour" in out
    assert "memory      1 segment of 2.1 MB" in out
    assert "streams     2 of topology" in out
    assert "slowest     B/IN (10.0.0.7:2) took 250 ms for an update" in out
    assert "refused     4 refusals, 3 host_not_allowed" in out
    assert "backlog     99 of topology for 10.0.0.7:1" in out
    assert "last error" not in out, "it is the same one"
    nothing = dict.fromkeys(("degraded", "lag", "bytes", "bytes_per_hour"))
    again = _said({**answer, **nothing, "ledger": "memory", "durability": "none"})
    assert "last error  2001-09-09 " in again
    assert "none, when the system sees fit" in again
    assert "its size on the disk cannot be told" in _said({**answer, **nothing}), "its folder was removed"
    assert "in memory" in again


def _said(answer: dict[str, Any]) -> str:
    return "\n".join("".join(part if isinstance(part, str) else part[1] for part in line) for line in lines("", answer))


def test_watching_asks_again_and_again(server: GraphServer) -> None:
    command = [sys.executable, "-m", "ezmsg.ledger.tools.cli", "status", str(server.address), "--watch"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        answers = 0
        while answers < 2:
            answers += watching.stdout.readline().startswith("recording to ")
        watching.send_signal(signal.SIGINT)
        assert watching.wait(10) == 130


def test_the_answer_has_the_documented_shape(server: GraphServer, capsys: pytest.CaptureFixture[str]) -> None:
    main(["status", str(server.address), "--json"])
    answer = json.loads(capsys.readouterr().out)
    section = (Path(__file__).parents[4] / "docs" / "cli.md").read_text("utf-8").split("\n## status\n")[1]
    shape = section.split("```text\n")[2].split("```")[0]
    outermost = re.sub(r"\{[^{}]*\}", "", shape[1:].rpartition("}")[0])
    assert set(re.findall(r'"(\w+)"', outermost)) == set(answer)
