"""``record(...)`` around an existing program: the same ledger as under ``run``, and nothing stays changed behind it."""

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from ezmsg.core import channelmanager, netprotocol
from ezmsg.core.graphcontext import GraphContext

from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev
from ezmsg.ledger.runtime import record
from ezmsg.ledger.runtime.recorder.process import RecorderFailed

VARIABLE = "EZMSG_GRAPHSERVER_ADDR"


def where() -> tuple[str | None, str, str]:
    """The three places where ezmsg looks for its graph server."""
    return os.environ.get(VARIABLE), netprotocol.GRAPHSERVER_ADDR, channelmanager.GRAPHSERVER_ADDR


async def talk(text: str = "hello") -> str:
    """Connect, publish, and give what was heard."""
    async with GraphContext() as context:
        await context.connect("A/OUT", "B/IN")
        subscriber = await context.subscriber("B/IN")
        publisher = await context.publisher("A/OUT")
        await publisher.broadcast(text)
        return str(await asyncio.wait_for(subscriber.recv(), 10))


EDGES = {
    ("LAB/SOURCE/OUTPUT", "LAB/SCALE/INPUT"): ["LAB"],
    ("LAB/SOURCE/OUTPUT_SETTINGS", "LAB/SCALE/INPUT_SETTINGS"): ["LAB"],
    ("LAB/SCALE/OUTPUT", "LAB/SINK/INPUT"): ["LAB"],
}


@pytest.mark.parametrize(
    ("order", "methods"),
    [("early", ["none", "fork", "spawn", "forkserver", "forkserver"]), ("late", ["forkserver", "none"])],
)
def test_pipelines_one_after_the_other(desk: Any, order: str, methods: list[str]) -> None:
    """The process that forks for ``forkserver`` is kept by Python, with the address of the recording before."""
    told = desk.do("python", desk.program("recorded.py"), order, *methods)
    assert told.code == 0, told.err
    heard = [json.loads(line) for line in told.out.splitlines()]
    assert [each["ways"] for each in heard] == [["LOCAL"] if method == "none" else ["SHM"] for method in methods]
    assert all(each["wrong"] == 0 for each in heard)
    for number, method in enumerate(methods):
        said = desk.account(desk.folder / f"{number}-{method}.ledger")
        assert said.runs == ["stopped"]
        assert said.sessions == [("LAB", "closed")]
        assert said.edges == EDGES
        assert said.settings == [("LAB/SCALE", {"gain": 3.0})]
        split = [(("LAB/SCALE", "LAB/SOURCE"), "closed"), (("LAB/SINK",), "closed")]
        assert said.processes == ([(("LAB/SCALE", "LAB/SINK", "LAB/SOURCE"), "closed")] if method == "none" else split)
        assert (said.refused, said.torn) == ([], set())


@pytest.mark.parametrize("variable", [None, "127.0.0.1:1"])
def test_everything_is_as_before_even_after_an_exception(
    desk: Any, monkeypatch: pytest.MonkeyPatch, variable: str | None
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    if variable is not None:
        monkeypatch.setenv(VARIABLE, variable)
    before = where()
    path = desk.folder / "x.ledger"

    def talk_and_fail() -> None:
        with record(path) as recorder:
            assert where() == (recorder.address,) * 3
            assert asyncio.run(talk()) == "hello"
            raise ValueError("the analysis failed")

    with pytest.raises(ValueError, match="the analysis failed"):
        talk_and_fail()
    assert where() == before
    said = desk.account(path)
    assert said.sessions == [(None, "closed")]
    assert said.edges == {("A/OUT", "B/IN"): [None]}


def test_async_with(desk: Any) -> None:
    path = desk.folder / "x.ledger"

    async def main() -> str:
        async with record(path):
            return await talk("a message")

    before = where()
    assert asyncio.run(main()) == "a message"
    assert where() == before
    said = desk.account(path)
    assert said.runs == ["stopped"]
    assert said.sessions == [(None, "closed")]
    assert said.edges == {("A/OUT", "B/IN"): [None]}
    assert said.endpoints == [("channel", "A/OUT"), ("publisher", "A/OUT"), ("subscriber", "B/IN")]
    assert said.torn == set()


def test_one_inside_another_takes_over_for_its_time(desk: Any) -> None:
    outer, inner = desk.folder / "outer.ledger", desk.folder / "inner.ledger"
    before = where()
    with record(outer) as first:
        with record(inner):
            asyncio.run(talk())
        assert where() == (first.address,) * 3
    assert where() == before
    assert len(desk.account(inner).sessions) == 1
    assert desk.account(outer).sessions == []


def test_the_same_one_inside_itself_is_refused_and_goes_on(desk: Any) -> None:
    path = desk.folder / "x.ledger"
    recording = record(path)
    before = where()
    with recording as recorder:
        with pytest.raises(RecorderFailed, match="already"), recording:
            pytest.fail("it was entered twice")
        assert where() == (recorder.address,) * 3
        asyncio.run(talk())
    assert where() == before
    assert len(desk.account(path).sessions) == 1


@pytest.mark.parametrize(
    ("options", "what", "hint"),
    [
        ({"ledger": "missing/x.ledger"}, "missing/x.ledger", "folder that exists"),
        ({"ledger": "x.ledger", "address": "127.0.0.1:99999"}, "127.0.0.1:99999", "127.0.0.1:25978"),
    ],
)
def test_what_cannot_be_started_changes_nothing(
    desk: Any, monkeypatch: pytest.MonkeyPatch, options: dict[str, str], what: str, hint: str
) -> None:
    monkeypatch.chdir(desk.folder)
    before = where()
    with pytest.raises(RecorderFailed, match=what) as failed, record(**options):
        pytest.fail("it was entered")
    assert hint in failed.value.hint
    assert where() == before
    assert list(desk.folder.glob("*")) == []


def test_a_level_that_there_is_not(desk: Any) -> None:
    with pytest.raises(ValueError, match="'strong'; it is one of commit, interval, none"):
        record(desk.folder / "x.ledger", durability="strong")


def test_forked_children_have_no_part_in_it(desk: Any) -> None:
    """One that leaves the block does not end the recording; one that stays does not keep the recorder from its end.

    Since 3.12 Python warns of any fork of a process with threads, which every client of ezmsg has.
    """
    told = desk.do("python", "-W", "ignore:This process:DeprecationWarning", desk.program("forks.py"))
    assert told.code == 0, told.err
    assert told.err == "the child left\n"
    assert float(told.out) < 5
    said = desk.account(desk.folder / "forks.ledger")
    assert said.runs == ["stopped"]
    assert said.edges == {("A/OUT", "B/IN"): [None]}


def test_a_recorder_that_is_told_to_end_seals_its_ledger(desk: Any) -> None:
    """SIGTERM: the machine shuts down."""
    path = desk.folder / "x.ledger"
    with record(path) as recorder:
        assert recorder.ended is None
        os.kill(_pid(path), signal.SIGTERM)
        desk.poll(lambda: recorder.ended is not None, "the recorder ends")
        assert recorder.ended == 0
    assert desk.account(path).runs == ["signal"]


def _pid(path: Path) -> int:
    with Ledger.open(path, "r") as ledger:
        return next(event.pid for event in ledger.entries() if isinstance(event, ev.ServerStarted))
