"""``log``, as a person sees it."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import codec
from ezmsg.ledger import events as ev
from ezmsg.ledger.errors import DamagedLedger
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.runtime.live import LiveGraph
from ezmsg.ledger.storage.reading.cursor import Cursor
from ezmsg.ledger.tools import exits

Run = Callable[..., Any]
SECOND = 10**9


def seqs(out: str) -> list[str]:
    """The first column."""
    return re.findall(r"^ *(\d+(?:-\d+)?) {2,}\S", out, re.MULTILINE)


def test_a_night_is_told_run_by_run(run: Run, night: Any) -> None:
    answer = run("log", night.path)
    assert answer.code == exits.OK
    assert answer.err == ""
    lines = answer.out.splitlines()
    assert lines[0] == "run 1, 2026-11-24 13:03:20.000+00:00"
    assert lines[lines.index("") + 1] == "run 2, 2026-11-24 13:04:19.156+00:00"
    assert re.match(r'    1      0\.000  graph server "rig 3" started on ', lines[1])
    assert lines[3].startswith("  3-8      0.151  session 2 (127.0.0.1:40122) connected 6 edges: SYSTEM/SOURCE/OUT ->")
    assert '   18     10.156  mark "baseline": subject sits still (ada)' in lines
    said = "process 16 (pid 4711 on lab-3) reported gain=2.0 (was 1.0) arriving at SYSTEM/AMP"
    assert f"   19     12.156  {said}" in lines
    assert lines[-1] == "   49      3.150  server stopped"
    [lost] = [line for line in lines if line.startswith("   40")]
    assert lost.endswith(
        'session 21 "viewer" was lost (reset) while it held 3 edges, 1 now gone: SYSTEM/AMP/OUT -> SCOPE '
        '(still held by persistent), SYSTEM/SOURCE/OUT -> SYSTEM/AMP/IN (still held by session 2 "SYSTEM"), '
        "SYSTEM/FILTER/OUT -> VIEWER/IN (gone)"
    )
    [dead] = [line for line in lines if line.startswith("   42")]
    assert "no clean shutdown was recorded, last seen 35 s before this start; with it ended 1 session, 1 proc" in dead


def test_every_event_has_its_line_when_nothing_is_folded(run: Run, night: Any) -> None:
    for option in ("--all", "--no-fold", "-a"):
        answer = run("log", night.path, option)
        assert seqs(answer.out) == [str(seq) for seq in range(1, night.seqs["end"] + 1)]
    assert "and 2 more" not in answer.out
    assert "SYSTEM/SINK, SYSTEM/SOURCE" in answer.out


def test_times_of_day_can_be_had(run: Run, night: Any) -> None:
    answer = run("log", night.path, "--absolute", "--since", "mark:baseline", "--until", "mark:baseline")
    assert answer.out.splitlines()[1].startswith("   18  2026-11-24 13:03:30.156+00:00  mark")


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--type", "mark"], [18]),
        (["--type", "command.rejected"], [26, 27, 29]),
        (["--type", "server", "--type", "mark"], [1, 18, 42, 43, 49]),
        (["--type", "session.closed"], [40, 48]),
        (["--type", "unknown"], []),
        (["--session", "viewer"], [21, 22, 23, 24, 26, 27, 31, 32, 33, 34, 40]),
        (["--session", "44"], [44, 45, 46, 47, 48]),
        (["--topic", "scope"], [20, 22, 25, 26, 40]),
        (["--topic", "system/amp", "--type", "settings"], [19]),
        (["--topic", "DECODER", "--session", "2"], [5, 6, 9, 42]),
        (["--component", "SYSTEM/DECODER"], [5, 6, 9, 17, 42]),
        (["--component", "SYSTEM/AMP", "--type", "settings", "--type", "request"], [19, 31, 32]),
        (["--component", "SCOPE", "--since", "mark:baseline"], [20, 22, 25, 26, 40]),
        (["--refused"], [26, 27, 29]),
        (["--refused", "--session", "viewer"], [26, 27]),
        (["--since", "42", "--until", "44"], [42, 43, 44]),
        (["--since", "13:04"], [42, 43, 44, 45, 46, 47, 48, 49]),
        (["--until", "13:03:20.150"], [1, 2]),
        (["--since", "-200ms"], [47, 48, 49]),
        (["--since", "2020-01-01", "--type", "mark"], [18]),
        (["--until", "2030-01-01", "--type", "mark"], [18]),
        (["-n", "2"], [48, 49]),
        (["-n", "2", "--session", "viewer"], [34, 40]),
        (["-n", "3", "--until", "22"], [20, 21, 22]),
        (["-n", "0"], []),
    ],
)
def test_what_is_wanted_is_shown(run: Run, night: Any, options: list[str], found: list[int]) -> None:
    answer = run("log", night.path, "--all", *options)
    assert answer.code == exits.OK, answer
    assert seqs(answer.out) == [str(seq) for seq in found]
    nothing = not found and "-n" not in options
    assert answer.err == ("ezmsg-ledger: no event matches\n" if nothing else "")


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        (["--topic", "dekoder"], "no topic or component has 'dekoder' in", "The topics are: SCOPE, SCOPE/COPY"),
        (["--component", "SYSTEM/AMPS"], "there is no component 'SYSTEM/AMPS'", "Did you mean SYSTEM/AMP"),
        (["--component", "decoder"], "there is no component 'decoder'", "Did you mean SYSTEM/DECODER?"),
    ],
)
def test_a_name_that_never_was_is_answered_with_one_that_is(
    run: Run, night: Any, options: list[str], message: str, hint: str
) -> None:
    answer = run("log", night.path, *options)
    assert (answer.code, answer.out) == (exits.USAGE, "")
    assert message in answer.err
    assert hint in answer.err


def test_a_session_is_found_by_its_uuid_and_before_it_had_a_label(run: Run, night: Any) -> None:
    uuid = json.loads(run("sessions", night.path, "--json").out)["sessions"][2]["uuid"]
    assert seqs(run("log", night.path, "--session", uuid[:8]).out) == ["44", "45", "46", "47", "48"]
    both = run("log", night.path, "--session", "SYSTEM", "--all").out
    assert {"2", "3", "9", "42", "44", "47"} <= set(seqs(both))


def test_events_can_be_had_as_they_stand_in_the_ledger(run: Run, night: Any) -> None:
    lines = run("log", night.path, "--json").out.splitlines()
    stored = [line for line in night.path.read_text().splitlines() if not line.startswith('{"type":"ledger.')]
    assert lines == stored
    some = run("log", night.path, "--json", "--type", "mark", "-n", "5").out
    assert [json.loads(line)["name"] for line in some.splitlines()] == ["baseline"]
    assert len(run("log", night.path, "--json", "-n", "7").out.splitlines()) == 7


def test_the_last_events_of_a_long_ledger_are_had_without_reading_the_others(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "long.ledger"
    with Ledger.open(path, durability="none") as ledger:
        for number in range(0, 60_000, 500):
            ledger.append([ev.Mark(name=str(place)) for place in range(number, number + 500)])
    taken: list[int] = []
    take = Cursor.next

    def count(cursor: Cursor) -> Any:
        batch = take(cursor)
        taken.append(len(batch or ()))
        return batch

    monkeypatch.setattr(Cursor, "next", count)
    out = run("log", path, "--json", "-n", "3").out
    assert [json.loads(line)["name"] for line in out.splitlines()] == ["59997", "59998", "59999"]
    assert 0 < sum(taken) < 20_000
    assert not Path(f"{path}.index").exists()


def test_types_can_be_left_out(run: Run, night: Any) -> None:
    every = [json.loads(line) for line in run("log", night.path, "--json").out.splitlines()]
    some = run("log", night.path, "--json", "--not", "edge", "--not", "mark").out.splitlines()
    assert [json.loads(line) for line in some] == [
        event for event in every if not event["type"].startswith(("edge.", "mark"))
    ]
    assert 0 < len(some) < len(every)
    both = run("log", night.path, "--json", "--type", "session", "--not", "session.closed").out.splitlines()
    assert {json.loads(line)["type"] for line in both} == {"session.opened", "session.cleared"}
    assert "Did you mean edge" in run("log", night.path, "--not", "edgs").err


def test_requests_that_only_read_fold(run: Run, tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "x.ledger", durability="none") as ledger:
        live = LiveGraph(ledger)
        session, process = live.open_session(label="dash"), live.open_process()
        live.register_process(process, 7, "h", ["S/U"])
        for number in range(20):
            live.route_request(session, f"r{number}", "S/U", "GET_PROCESS_STATS", None)
            live.answer_request(live.ledger.head, True, None, 5)
        live.route_request(session, "w", "S/U", "UPDATE_SETTING_FIELD", b"x")
        live.close()
    out = run("log", tmp_path / "x.ledger").out
    assert f'session {session} "dash" sent GET_PROCESS_STATS 20 times to S/U, all answered' in out
    assert "sent UPDATE_SETTING_FIELD to S/U" in out
    assert out.count("GET_PROCESS_STATS") == 1
    assert run("log", tmp_path / "x.ledger", "--all").out.count("GET_PROCESS_STATS") == 40


def test_a_single_event_is_told_without_a_word_more(run: Run, tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "x.ledger") as ledger:
        ledger.append([ev.SessionOpened(uuid="s", label="A")])
    answer = run("log", tmp_path / "x.ledger")
    assert answer.out.endswith('  session 1 "A" opened\n')
    assert answer.err == ""


def test_an_empty_ledger_says_so(run: Run, tmp_path: Path) -> None:
    Ledger.open(tmp_path / "x.ledger").close()
    answer = run("log", tmp_path / "x.ledger")
    assert (answer.code, answer.out) == (exits.OK, "")
    assert answer.err == "ezmsg-ledger: no events have been recorded yet\n"


def test_a_recording_that_breaks_off_says_so(run: Run, tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "x.ledger") as ledger:
        ledger.append([ev.ServerStarted(uuid="r", kind="server", name="n", host="h", pid=1)])
        assert run("log", tmp_path / "x.ledger").err == ""
    assert run("log", tmp_path / "x.ledger").err == (
        "ezmsg-ledger: run 1 breaks off here: no clean shutdown was recorded\n"
    )
    assert run("log", tmp_path / "x.ledger", "--until", "1").err == ""


def test_events_of_a_newer_version_are_shown_and_warned_of(run: Run, tmp_path: Path) -> None:
    path = with_unknown(tmp_path / "x.ledger")
    answer = run("log", path)
    assert answer.code == exits.OK
    assert 'unknown event coffee.spilled, of a newer version: "{\\"type\\":\\"coffee.spilled\\"' in answer.out
    assert "coffee.spilled (2). Upgrade ezmsg-ledger" in answer.err
    assert seqs(run("log", path, "--type", "unknown").out) == ["2", "4"]
    assert run("log", path, "--json").out.splitlines()[1] == '{"type":"coffee.spilled","seq":2,"time":5,"cups":2}'
    for command in (["show"], ["diff", "1", "5"]):
        name, *rest = command
        assert "unknown types were passed over" in run(name, path, *rest).err


def with_unknown(path: Path) -> Path:
    """A sound ledger of five events, two of them of a type that nobody knows here."""
    from hashlib import sha256

    from ezmsg.ledger.storage.header import first_bytes, new_header
    from ezmsg.ledger.structural import encode_commit

    content = first_bytes(new_header(1))
    for seq in range(1, 6):
        if seq % 2:
            content += codec.encode([ev.Mark(name=f"m{seq}", seq=seq, time=5)])
        else:
            content += f'{{"type":"coffee.spilled","seq":{seq},"time":5,"cups":2}}\n'.encode()
        content += encode_commit(seq, 1, len(content), 0, sha256(content).hexdigest())
    path.write_bytes(content)
    return path


# --- long ledgers ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight thousand events, one every second: a session's edges come and go, a mark every thousand."""
    path = tmp_path_factory.mktemp("long") / "long.ledger"
    now = 10**18
    with Ledger.open(path, durability="none", clock=lambda: now) as ledger:
        ledger.append([ev.SessionOpened(uuid="s", label="S")])
        for number in range(4000):
            now += SECOND
            ledger.append([ev.EdgeConnected(from_topic=f"A{number}", to_topic="B", owner=1)])
            if number % 500 == 499:
                ledger.append([ev.Mark(name=f"m{number}")])
            now += SECOND
            ledger.append([ev.EdgeDisconnected(from_topic=f"A{number}", to_topic="B", owner=1)])
    return path


@pytest.mark.parametrize("number", [1, 3, 50, 400])
@pytest.mark.parametrize("options", [[], ["--type", "mark"], ["--topic", "A39"], ["--json"]])
def test_the_last_lines_are_the_last_of_all_lines(run: Run, long: Path, number: int, options: list[str]) -> None:
    everything = [line for line in run("log", long, *options).out.splitlines() if line]
    last = [line for line in run("log", long, *options, "-n", number).out.splitlines() if line]
    assert last == everything[-number:]


def test_the_last_lines_of_a_long_ledger_do_not_need_its_whole_history(
    run: Run, long: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ezmsg.ledger.tools.commands.look import log
    from ezmsg.ledger.tools.text.sentences import Story

    told = 0

    class Counted(Story):
        def tell(self, event: ev.AnyEvent) -> Any:
            nonlocal told
            told += 1
            return super().tell(event)

    monkeypatch.setattr(log, "Story", Counted)
    assert len(run("log", long, "-n", 5).out.splitlines()) == 5
    assert told < 2000


# --- damage ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def damaged(tmp_path: Path, night: Any) -> Path:
    """The night, with a byte changed behind the mark."""
    path = tmp_path / "damaged.ledger"
    content = night.path.read_bytes()
    place = content.index(b'"settings.updated"')
    path.write_bytes(content[:place] + b"'" + content[place + 1 :])
    with pytest.raises(DamagedLedger), Ledger.open(path, "r") as ledger:
        list(ledger.entries())
    return path


@pytest.mark.parametrize(("options", "found"), [([], "18"), (["-n", "2"], "18"), (["--type", "mark"], "18")])
def test_what_comes_before_damage_is_told(run: Run, damaged: Path, options: list[str], found: str) -> None:
    answer = run("log", damaged, *options)
    assert answer.code == exits.DAMAGED
    assert seqs(answer.out)[-1] == found
    assert "damaged after seq 18" in answer.err
    if "-n" in options:
        assert len(seqs(answer.out)) == 2


# --- follow ----------------------------------------------------------------------------------------------------------


class Follower:
    """``log --follow`` in a process of its own, whose output Python keeps back in a pipe until it is flushed."""

    def __init__(self, path: Path, *options: str) -> None:
        command = [sys.executable, "-m", "ezmsg.ledger.tools.cli", "log", str(path), "--follow", *options]
        buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=buffered
        )

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def stop(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def follow() -> Iterator[Callable[..., Follower]]:
    """Starts followers, and ends them with the test."""
    followers: list[Follower] = []

    def start(path: Path, *options: str) -> Follower:
        followers.append(Follower(path, *options))
        return followers[-1]

    yield start
    for follower in followers:
        follower.stop()


def test_what_comes_is_shown_as_it_comes(tmp_path: Path, follow: Callable[..., Follower]) -> None:
    path = tmp_path / "x.ledger"
    with Ledger.open(path) as ledger:
        ledger.append([ev.ServerStarted(uuid="r", kind="server", name="n", host="h", pid=1)])
        ledger.append([ev.SessionOpened(uuid="s", label="S")])
        follower = follow(path)
        assert follower.line().startswith("run 1, ")
        assert 'server "n" started' in follower.line()
        assert 'session 2 "S" opened' in follower.line()
        for number in range(6):
            ledger.append([ev.EdgeConnected(from_topic=f"A{number}", to_topic="B", owner=2)])
        assert re.match(r' *3-8 +\d+\.\d+  session 2 "S" connected 6 edges', follower.line())
        ledger.append([ev.SessionClosed(session=2, reason="lost")])
        assert "was lost while it held 6 edges" in follower.line()
    with Ledger.open(path) as ledger:  # a second run, in the same file
        ledger.append([
            ev.ServerLost(server=1),
            ev.ServerStarted(uuid="r2", kind="server", name="again", host="h", pid=1),
        ])  # fmt: skip
        assert "was lost: no clean shutdown was recorded" in follower.line()
        assert follower.line() == ""
        assert follower.line().startswith("run 2, ")
        assert 'server "again" started' in follower.line()


def test_following_goes_on_behind_the_last_lines(tmp_path: Path, follow: Callable[..., Follower]) -> None:
    path = tmp_path / "x.ledger"
    with Ledger.open(path) as ledger:
        for number in range(20):
            ledger.append([ev.Mark(name=f"m{number}")])
        follower = follow(path, "-n", "2", "--json")
        assert [json.loads(follower.line())["name"] for _ in range(2)] == ["m18", "m19"]
        ledger.append([ev.EdgeConnected(from_topic="A", to_topic="B", owner=None)])
        assert json.loads(follower.line())["type"] == "edge.connected"


def test_following_what_was_replaced_ends_with_an_error(tmp_path: Path, follow: Callable[..., Follower]) -> None:
    path = tmp_path / "x.ledger"
    with Ledger.open(path) as ledger:
        ledger.append([ev.Mark(name="here")])
    follower = follow(path)
    assert "here" in follower.line()
    path.unlink()
    assert follower.process.wait(60) == exits.DAMAGED
    assert follower.process.stderr is not None
    assert "removed or replaced" in follower.process.stderr.read()
