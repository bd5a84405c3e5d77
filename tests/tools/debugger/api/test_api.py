"""The API answers as the commands do, and refuses as they do."""

import json
from collections.abc import Callable
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ezmsg.ledger import events as ev
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.tools.debugger.api.answers import ENDPOINTS

Debugger = Any
Debug = Callable[..., Any]


@pytest.fixture
def asked(debug: Debug, night: Any) -> Debugger:
    return debug(night.path)


# what the API is asked -> the command line that says the same
SAME: list[tuple[str, dict[str, Any], list[str]]] = [
    ("state", {"at": "20"}, ["show", "--at", "20"]),
    ("state", {}, ["show"]),
    ("state", {"at": "run:1"}, ["show", "--at", "run:1"]),
    ("diff", {"from_": "5", "to": "30"}, ["diff", "5", "30"]),
    ("diff", {"from_": "5", "to": "30", "by_name": "true"}, ["diff", "5", "30", "--by-name"]),
    ("why", {"subject": "SYSTEM/AMP/OUT -> SYSTEM/LOG/IN"}, ["why", "SYSTEM/AMP/OUT -> SYSTEM/LOG/IN"]),
    ("why", {"subject": "unit SYSTEM/AMP", "at": "40"}, ["why", "unit", "SYSTEM/AMP", "--at", "40"]),
    ("history", {"subject": "unit SYSTEM/AMP"}, ["history", "unit", "SYSTEM/AMP"]),
    ("history", {"subject": "topic SYSTEM/AMP/OUT"}, ["history", "topic", "SYSTEM/AMP/OUT"]),
    ("when", {"predicate": "edges > 2", "at": "30"}, ["when", "edges > 2", "--at", "30"]),
    ("path", {"from_": "SYSTEM/SOURCE/OUT", "to": "SYSTEM/AMP/IN"}, ["path", "SYSTEM/SOURCE/OUT", "SYSTEM/AMP/IN"]),
    ("explain", {"topic": "SYSTEM/AMP/IN", "at": "30"}, ["explain", "SYSTEM/AMP/IN", "--at", "30"]),
    ("settings", {"at": "30"}, ["settings", "--at", "30"]),
    ("settings", {"unit": "SYSTEM/AMP", "field": "gain"}, ["settings", "SYSTEM/AMP", "--field", "gain"]),
    ("doubts", {}, ["settings", "--doubts"]),
    ("doubts", {"unit": "SYSTEM/AMP", "at": "30"}, ["settings", "SYSTEM/AMP", "--doubts", "--at", "30"]),
    ("what-if", {"session": "2"}, ["what-if", "2"]),
]


@pytest.mark.parametrize(("path", "query", "command"), SAME, ids=[" ".join(each[2]) for each in SAME])
def test_an_answer_is_the_document_of_the_command(
    asked: Debugger, night: Any, run: Callable[..., Any], path: str, query: dict[str, Any], command: list[str]
) -> None:
    told = run(command[0], night.path, *command[1:], "--json")
    answer = asked.get(path, **query)
    assert answer.status == 200, answer.body
    assert answer.body == json.loads(told.out)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda each: each.path)
def test_answers_have_the_shape_that_is_described(asked: Debugger, endpoint: Any) -> None:
    """Strictly: what a Struct calls an int is one, and what it has no default for is there."""
    given = {"from_": "1"} if endpoint.path == "diff" else {}
    for path, query, _ in SAME:
        if path == endpoint.path:
            given = query
            break
    answer = asked.get(endpoint.path, **given)
    assert answer.status == 200, answer.body
    if endpoint.body is None:
        assert answer.headers["content-type"] == "application/octet-stream"
    else:
        msgspec.json.decode(answer.octets, type=endpoint.body)


def test_events_are_those_of_the_log(asked: Debugger, night: Any, run: Callable[..., Any]) -> None:
    lines = [json.loads(line) for line in run("log", night.path, "--json").out.splitlines()]
    events: list[Any] = []
    after: int | None = 0
    while after is not None:
        answer = asked.get("events", after=after, limit=7).body
        events += answer["events"]
        after = answer["next"]
    assert events == lines
    plain = asked.get("events", after=3, limit=9, lines="false").body
    assert (plain["events"], plain["lines"], plain["next"]) == (lines[3:12], [], 12)
    texts = [line["text"] for line in asked.get("events", limit=1000, fold="false").body["lines"]]
    assert len(texts) == len(lines)
    assert any("refused" in text for text in texts)


def test_events_are_filtered_as_the_log_is(asked: Debugger, night: Any, run: Callable[..., Any]) -> None:
    lines = [json.loads(line) for line in run("log", night.path, "--type", "session", "--json").out.splitlines()]
    assert asked.get("events", type="session", limit=1000).body["events"] == lines
    assert asked.get("events", type="sesion").status == 400


def test_a_page_of_events_begins_where_the_one_before_ended(asked: Debugger) -> None:
    """The state is kept for whoever reads on, and is no other than the one that is looked up."""
    first = asked.get("events", after=0, limit=20).body
    following = asked.get("events", after=first["next"], limit=20).body
    assert asked.get("events", after=first["next"], limit=20).body == following


def test_density_counts_every_event_once(asked: Debugger, night: Any) -> None:
    for by in ("seq", "time"):
        body = asked.get("density", buckets=9, by=by).body
        assert sum(bucket["events"] for bucket in body["buckets"]) == asked.watched.head
        for a, b in zip(body["buckets"], body["buckets"][1:], strict=False):
            assert a["last"] + 1 == b["first"]


GOLDEN = Path(__file__).parents[3] / "golden" / "clocks.ledger"


def test_density_by_time_has_stretches_as_time_passed(debug: Debug, tmp_path: Path) -> None:
    """Of a recording in which the wall clock was set back and on, and the machine slept."""
    path = tmp_path / "clocks.ledger"
    path.write_bytes(GOLDEN.read_bytes())
    found = debug(path).get("density", by="time", buckets="10").body["buckets"]
    with Ledger.open(path, "r") as ledger:
        timeline, seqs = Timeline(ledger), [event.seq for event in ledger.entries()]
        steps = [max(0, timeline.elapsed(before, after).ns) for before, after in pairwise(seqs)]
    passed = dict(zip(seqs, accumulate(steps, initial=0), strict=True))
    for number, bucket in enumerate(found):
        within = [passed[seq] for seq in seqs if bucket["first"] <= seq <= bucket["last"]]
        least, most = (passed[seqs[-1]] * each // 10 for each in (number, number + 1))
        assert all(least <= each and (each < most or number == 9) for each in within), number
    assert sum(bucket["events"] for bucket in found) == seqs[-1] - seqs[0] + 1



REFUSED: list[tuple[str, dict[str, Any], int, str]] = [
    ("state", {"at": "tomorrow"}, 404, "UnknownMoment"),
    ("state", {"at": "99999"}, 404, "UnknownMoment"),
    ("why", {"subject": "SYSTEM/AMPP"}, 404, "UnknownSubject"),
    ("when", {"predicate": "edges >"}, 400, "PredicateError"),
    ("settings", {"unit": "NOTHING"}, 404, "UnknownSubject"),
    ("settings", {"field": "gain"}, 400, "Misuse"),
    ("diff", {}, 400, "BadQuery"),
    ("diff", {"from_": "1", "with_": "true"}, 400, "Misuse"),
    ("events", {"limit": "many"}, 400, "BadQuery"),
    ("events", {"limit": "1000000"}, 400, "BadQuery"),
    ("events", {"limitt": "1"}, 400, "BadQuery"),
    ("what-if", {"session": "nobody"}, 404, "UnknownMoment"),
    ("live", {"after": "x"}, 400, "BadQuery"),
    ("nothing", {}, 404, "NotThere"),
]


@pytest.mark.parametrize(("path", "query", "status", "kind"), REFUSED)
def test_a_refusal_says_what_is_wrong_and_what_to_do(
    asked: Debugger, path: str, query: dict[str, Any], status: int, kind: str
) -> None:
    answer = asked.get(path, **query)
    assert (answer.status, answer.body["kind"]) == (status, kind)
    assert answer.body["message"]
    assert answer.body["hint"]


def test_a_parameter_that_is_given_twice_is_refused(asked: Debugger) -> None:
    answer = asked.fetch(f"{asked.server.address}api/v1/state?at=1&at=2")
    assert (answer.status, answer.body["message"]) == (400, "at was given twice")


def test_the_ledger_says_what_stands_out(asked: Debugger, night: Any) -> None:
    body = asked.get("ledger").body
    with Ledger.open(night.path, "r") as ledger:
        events = list(ledger.entries())
        assert (body["head"], body["id"], body["written"]) == (ledger.head, ledger.id, False)
    assert body["refusals"] == [event.seq for event in events if isinstance(event, ev.CommandRejected)]
    assert [mark["seq"] for mark in body["marks"]] == [event.seq for event in events if isinstance(event, ev.Mark)]
    assert [gap["seq"] for gap in body["gaps"]] == [event.seq for event in events if isinstance(event, ev.Gap)]
    assert [each["id"] for each in body["sessions"]] == [e.seq for e in events if isinstance(e, ev.SessionOpened)]
    ends = {e.session: e.seq for e in events if isinstance(e, ev.SessionClosed)}
    for session in body["sessions"]:
        if session["id"] in ends:
            assert session["died"] == ends[session["id"]]


def test_two_ledgers_are_compared_by_names(
    debug: Debug, night: Any, recorded: Any, run: Callable[..., Any], long_history: Callable[..., Path], tmp_path: Path
) -> None:
    both = debug(recorded.path, night.path)
    assert both.get("ledger").body["other"]["ledger"] == str(night.path)
    refused = both.get("diff", from_="end", to="end", with_="true")
    assert (refused.status, refused.body["kind"]) == (409, "NothingInCommon")
    twice = debug(recorded.path, recorded.path)
    told = run("diff", recorded.path, "20", "end", "--with", recorded.path, "--json")
    assert twice.get("diff", from_="20", to="end", with_="true").body == json.loads(told.out)


def test_the_lifetimes_and_the_edges_of_the_other_ledger(debug: Debug, night: Any, recorded: Any) -> None:
    both, alone = debug(night.path, recorded.path), debug(recorded.path)
    assert both.get("lifetimes", with_="true").octets == alone.get("lifetimes").octets
    edges = [set(map(tuple, each.get("drawing").body["edges"])) for each in (alone, both)]
    assert edges[0] < edges[1]
    assert debug(night.path).get("lifetimes", with_="true").body["kind"] == "Misuse"


def test_a_damaged_ledger_is_shown_up_to_the_damage(debug: Debug, night: Any, tmp_path: Path) -> None:
    path = tmp_path / "damaged.ledger"
    data = bytearray(night.path.read_bytes())
    place = data.index(b'"ledger.commit"', len(data) // 2)
    data[place + 3] ^= 1
    path.write_bytes(data)
    damaged = debug(path)
    body = damaged.get("ledger").body
    assert body["trouble"]["kind"] == "DamagedLedger"
    assert 0 < body["trouble"]["seq"] == body["head"]
    assert damaged.get("state", at=body["head"]).status == 200
    assert damaged.get("events", limit=1000).body["upto"] == body["head"]
    assert damaged.get("lifetimes").status == 200
    assert damaged.get("drawing").body["boxes"]


def test_an_empty_ledger_has_answers(debug: Debug, tmp_path: Path) -> None:
    Ledger.open(tmp_path / "empty.ledger").close()
    empty = debug(tmp_path / "empty.ledger")
    assert empty.get("ledger").body["head"] == 0
    assert empty.get("state").body["edge_owners"] == []
    assert empty.get("drawing").body["boxes"] == []
    assert empty.get("events").body["events"] == []
    assert empty.get("density").body["buckets"] == []
    assert empty.get("lifetimes").status == 200


def test_a_ledger_that_is_replaced_begins_anew(debug: Debug, night: Any, recorded: Any, tmp_path: Path) -> None:
    path = tmp_path / "now.ledger"
    path.write_bytes(night.path.read_bytes())
    asked = debug(path)
    before = asked.get("ledger").body
    (tmp_path / "new").write_bytes(recorded.path.read_bytes())
    (tmp_path / "new").replace(path)
    after = asked.get("ledger").body
    assert (after["epoch"], after["id"] == before["id"]) == (before["epoch"] + 1, False)


def test_a_ledger_that_is_removed_is_still_shown_and_says_so(debug: Debug, night: Any, tmp_path: Path) -> None:
    path = tmp_path / "now.ledger"
    path.write_bytes(night.path.read_bytes())
    asked = debug(path)
    before = asked.get("state").body
    path.unlink()
    assert asked.get("ledger").body["trouble"]["kind"] == "NotALedger"
    assert asked.get("state").body == before
    path.write_bytes(night.path.read_bytes())
    assert asked.get("ledger").body["trouble"] is None


def test_a_file_that_becomes_a_folder_goes_on(
    debug: Debug, night: Any, run: Callable[..., Any], tmp_path: Path
) -> None:
    path = tmp_path / "now.ledger"
    path.write_bytes(night.path.read_bytes())
    asked = debug(path)
    before = asked.get("state").body
    assert run("rotate", path).code == 0
    assert path.is_dir()
    assert asked.get("state").body == before
    assert asked.get("ledger").body["epoch"] == 1
