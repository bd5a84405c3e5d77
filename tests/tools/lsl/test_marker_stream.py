"""The markers of a ledger: each event once, stamped with its own time, whatever was done to the wall clock."""

import json
import socket
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev
from ezmsg.ledger.extras import install_command
from ezmsg.ledger.runtime.live import LiveGraph
from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.lsl import marker_stream
from ezmsg.ledger.tools.lsl.marker_stream import MarkerSource, connections, stream_name
from tests.fake_clock import SECOND, FakeClock


def told(markers: list[tuple[float, str]]) -> list[tuple[float, str]]:
    return [(stamp, json.loads(text)["text"]) for stamp, text in markers]


def test_stamps_are_of_the_monotonic_clock_and_no_pickle_is_in_a_marker(tmp_path: Path) -> None:
    clock = FakeClock()
    with Ledger.open(tmp_path / "x.ledger", clock=clock) as ledger:
        live = LiveGraph(ledger, name="rig")
        source = MarkerSource(ledger, ahead=0.5)
        assert [stamp for stamp, _ in source.more()] == [1000.5]
        session = live.open_session(label="S")
        process = live.open_process()
        live.register_process(process, 7, "lab", ["AMP"])
        clock.run(3)
        clock.step(-3600)
        value = ev.SettingsValue(serialized=b"a pickle", repr_value={"gain": 2}, structured_value={"gain": 2})
        live.update_settings(process, "AMP", value)
        clock.run(1)
        live.connect("A", "B", session)
        new = source.more()
        assert [stamp for stamp, _ in new][-2:] == [1003.5, 1004.5]
        settings = json.loads(new[-2][1])
        assert (settings["type"], settings["component"], settings["settings"]) == (
            "settings.updated",
            "AMP",
            {"gain": 2},
        )
        assert "reported gain=2" in settings["text"]
        assert told(new)[-1][1] == 'session 3 "S" connected A -> B'
        assert source.more() == []
        assert len(source.kept) == len({json.loads(text)["seq"] for _, text in source.kept}) == len(new) + 1
        live.close()
    assert "pickle" not in "".join(text for _, text in source.kept)


def test_another_run_begins_anew(tmp_path: Path) -> None:
    clock = FakeClock()
    with Ledger.open(tmp_path / "x.ledger", clock=clock) as ledger:
        LiveGraph(ledger, name="first").close()
        clock.restart("boot-2")
        live = LiveGraph(ledger, name="second")
        source = MarkerSource(ledger)
        assert [(stamp, "second" in text) for stamp, text in told(source.more())] == [(20.0, True)]
        live.note(ev.Mark(name="x"))
        assert len(source.more()) == 1
        assert len(source.kept) == 2
        live.close()


def test_a_ledger_without_readings_has_no_markers(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "x.ledger", clock=lambda: 5 * SECOND) as ledger:
        ledger.append([ev.Mark(name="x")])
        assert MarkerSource(ledger).more() == []


def test_only_so_many_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marker_stream, "KEPT_MAX", 10)
    with Ledger.open(tmp_path / "x.ledger", clock=FakeClock()) as ledger:
        live = LiveGraph(ledger)
        source = MarkerSource(ledger)
        for number in range(50):
            live.note(ev.Mark(name=f"mark {number}"))
        assert len(source.more()) == 51
        assert [json.loads(text)["seq"] for _, text in source.kept] == list(range(ledger.head - 9, ledger.head + 1))
        live.close()


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="the system does not say")
def test_connections_to_a_port_are_counted() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert connections(port) == 0
        with socket.create_connection(("127.0.0.1", port)) as one:
            there, _ = server.accept()
            assert connections(port) == 1
            assert one.fileno() >= 0
            there.close()


def test_a_stream_is_called_as_its_ledger_is() -> None:
    assert stream_name("/rig/monday.ledger") == "ezmsg-ledger monday"


@pytest.mark.skipif(find_spec("pylsl") is not None, reason="pylsl is installed here")
@pytest.mark.parametrize("command", [["run", "--lsl", __file__], ["serve", "--lsl", "-a", "127.0.0.1:0"]])
def test_a_missing_extra_is_said_before_anything_runs(
    run: Any, tmp_path: Path, monkeypatch: Any, command: list[str]
) -> None:
    answer = run(*command)
    assert (answer.code, answer.out) == (exits.USAGE, "")
    assert "--lsl needs pylsl, which is not installed" in answer.err
    assert install_command("ezmsg-ledger[lsl]") in answer.err


def test_from_lsl_takes_no_name_and_a_mark_needs_one(run: Any) -> None:
    for command, said in (
        (["mark", "x", "--from-lsl", "S"], "--from-lsl has names, times and a source of its own"),
        (["mark"], "a mark needs a name"),
    ):
        answer = run(*command)
        assert (answer.code, answer.out) == (exits.USAGE, "")
        assert said in answer.err
