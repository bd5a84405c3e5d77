"""``mark``, of something that happened before."""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.runtime.server.server import GraphServer
from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.cli import main
from tests.fake_clock import SECOND, FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GraphServer]:
    server = GraphServer(tmp_path / "run.ledger")
    server.start(("127.0.0.1", 0))
    yield server
    server.stop()


def marked(server: GraphServer, *options: str) -> ev.Mark:
    assert main(["mark", "blink", *options, "--address", str(server.address)]) == exits.OK
    assert server.live is not None
    return [event for event in server.live.ledger.entries() if isinstance(event, ev.Mark)][-1]


@pytest.mark.parametrize(
    ("text", "happened"),
    [
        ("1764540000000000007", 1764540000000000007),
        ("2025-11-30T22:00:00.000000007Z", 1764540000000000007),
        ("2025-11-30 23:00:00+01:00", 1764540000000000000),
    ],
)
def test_when_it_happened(
    server: GraphServer, capsys: pytest.CaptureFixture[str], text: str, happened: int
) -> None:
    mark = marked(server, "--happened", text, "--source", "LSL")
    assert (mark.happened, mark.source) == (happened, "LSL")
    assert "mark:blink, which happened at 20" in capsys.readouterr().out


def test_some_time_ago_by_the_recorders_clock(server: GraphServer) -> None:
    mark = marked(server, "--happened", "-30s")
    assert mark.happened is not None
    assert 30 * SECOND <= mark.time - mark.happened < 60 * SECOND


def test_a_bare_time_is_the_last_one(server: GraphServer) -> None:
    for text in ("00:00:00", "23:59:59"):
        mark = marked(server, "--happened", text)
        assert mark.happened is not None
        assert 0 <= mark.time - mark.happened <= 25 * 3600 * SECOND
        assert datetime.fromtimestamp(mark.happened / SECOND).strftime("%H:%M:%S") == text


@pytest.mark.parametrize("text", ["yesterday", "25:00", "2026-02-30", ""])
def test_what_is_not_a_time(server: GraphServer, capsys: pytest.CaptureFixture[str], text: str) -> None:
    code = main(["mark", "x", "--happened", text, "--address", str(server.address)])
    assert code == exits.USAGE
    assert "hint: Times are: 14:03:20" in capsys.readouterr().err


def test_a_time_that_was_there_twice_has_to_be_told_with_its_offset(
    server: GraphServer, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["mark", "x", "--happened", "2025-10-26 02:30 Europe/Berlin", "--address", str(server.address)])
    assert code == exits.USAGE
    assert "hint: Say which: 2025-10-26 02:30:00+02:00 or 2025-10-26 02:30:00+01:00." in capsys.readouterr().err
    assert marked(server, "--happened", "2025-10-26 02:30:00+01:00").happened == 1761442200 * SECOND


def test_a_number_beyond_64_bits_is_refused(server: GraphServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mark", "x", "--happened", "9" * 30, "--address", str(server.address)]) != exits.OK
    assert capsys.readouterr().err.startswith("ezmsg-ledger: ")
    assert marked(server, "--happened", "5").happened == 5


def test_the_moment_is_when_it_happened(tmp_path: Path, clock: FakeClock) -> None:
    with Ledger.open(tmp_path / "x.ledger", clock=clock) as ledger:
        server = GraphServer(ledger)
        server.start(("127.0.0.1", 0))
        assert server.live is not None
        clock.run(10)
        marked(server)
        before = server.live.ledger.head
        clock.run(10)
        mark = marked(server, "--happened", "-5s")
        server.stop()
        moment = Timeline(ledger).moment("mark:blink")
        assert (moment.seq, moment.time) == (before, mark.time - 5 * SECOND)


def test_status_tells_of_a_clock_that_was_set(
    tmp_path: Path, clock: FakeClock, capsys: pytest.CaptureFixture[str]
) -> None:
    with Ledger.open(tmp_path / "x.ledger", clock=clock) as ledger:
        server = GraphServer(ledger)
        server.start(("127.0.0.1", 0))
        clock.run(70)
        clock.step(-3600)
        marked(server)
        capsys.readouterr()
        assert main(["status", str(server.address)]) == exits.OK
        out = capsys.readouterr().out
        assert out.splitlines()[0].endswith(", for 1 min 10 s")
        assert "the wall clock was set 1 time, 1 h 0 min back in all" in out
        assert main(["status", str(server.address), "--json"]) == exits.OK
        answer = json.loads(capsys.readouterr().out)["clocks"]
        assert answer == {"elapsed": 70 * SECOND, "steps": 1, "suspends": 0, "set_by": -3600 * SECOND}
        server.stop()
