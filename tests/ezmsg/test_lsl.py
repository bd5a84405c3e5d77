"""LabStreamingLayer both ways, by real streams of this machine: what is recorded as markers, and markers as marks."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev
from ezmsg.ledger.tools.lsl.marker_stream import LEFT_OUT

from .suite.environments import RECORDINGS
from .test_packages import LSL_HERE

pytestmark = pytest.mark.environments

PROGRAMS = Path(__file__).parent / "programs"
CLI = ("-m", "ezmsg.ledger.tools.cli")


@pytest.fixture
def lsl(desk: Any) -> dict[str, str]:
    (desk.folder / "lsl.cfg").write_text(LSL_HERE)
    return {"LSLAPICFG": str(desk.folder / "lsl.cfg")}


def test_each_consumer_hears_all_from_the_start_stamped_with_its_own_time(desk: Any, lsl: dict[str, str]) -> None:
    path = desk.folder / "lsl.ledger"
    server = desk.start(RECORDINGS.python(), *CLI, "serve", path, "--lsl", "--address", desk.free, **lsl)
    address = server.until(r"EZMSG_GRAPHSERVER_ADDR=(\S+)")[1]

    def mark(number: int) -> None:
        told = desk.do(RECORDINGS.python(), *CLI, "mark", f"mark {number}", "--address", address)
        assert told.code == 0, told.err

    for number in range(5):
        mark(number)
    consumers = []
    for number in (5, 6):
        consumer = desk.start(RECORDINGS.python(), PROGRAMS / "lsl_peer.py", "hear", "ezmsg-ledger lsl", **lsl)
        consumer.until(f"mark {number - 1}")  # which was there before it came
        consumers.append(consumer)
        mark(number)
        for each in consumers:
            each.until(f"mark {number}")
    server.process.send_signal(signal.SIGINT)
    server.end()
    with Ledger.open(path, "r") as ledger:
        events = {event.seq: event for event in ledger.entries()}
    offset = next(event.real - event.mono for event in events.values() if isinstance(event, ev.ClockRead))
    expected = {seq for seq, event in events.items() if type(event) not in LEFT_OUT}
    for consumer in consumers:
        lines = [json.loads(line) for line in consumer.end().out.splitlines() if line.startswith("{")]
        heard = {line["seq"]: line for line in lines}
        assert set(heard) == expected, "each event is heard, whenever a consumer came"
        for seq, line in heard.items():
            assert line["stamp"] == pytest.approx((events[seq].time - offset) / 1e9, abs=1e-5)


def test_markers_of_a_stream_become_marks_that_happened_then(desk: Any, lsl: dict[str, str]) -> None:
    path = desk.folder / "marks.ledger"
    server = desk.start(RECORDINGS.python(), *CLI, "serve", path, "--address", desk.free)
    address = server.until(r"EZMSG_GRAPHSERVER_ADDR=(\S+)")[1]
    texts = ("flash left", "flash right", "blink")
    speaker = desk.start(RECORDINGS.python(), PROGRAMS / "lsl_peer.py", "say", "stimuli", *texts, **lsl)
    speaker.until("^ready")
    listening = ("mark", "--from-lsl", "stimuli", "--address", address, "--author", "ada")
    marker = desk.start(RECORDINGS.python(), *CLI, *listening, **lsl)
    said = json.loads(speaker.until(r"^\{.*").string)
    marker.until(f"mark:{texts[-1]}")
    marker.process.send_signal(signal.SIGINT)
    assert marker.end().code == 130
    server.process.send_signal(signal.SIGINT)
    server.end()
    with Ledger.open(path, "r") as ledger:
        marks = [event for event in ledger.entries() if isinstance(event, ev.Mark)]
    assert [(mark.name, mark.author, mark.source) for mark in marks] == [(text, "ada", "lsl:stimuli") for text in texts]
    for mark in marks:
        assert mark.happened == pytest.approx(said[mark.name], abs=5_000_000)
        assert mark.time - said[mark.name] > 1_900_000_000, "it was recorded when it was heard"


def test_a_stream_that_is_not_there_is_said(desk: Any, lsl: dict[str, str]) -> None:
    server = desk.start(RECORDINGS.python(), *CLI, "serve", desk.folder / "x.ledger", "--address", desk.free)
    address = server.until(r"EZMSG_GRAPHSERVER_ADDR=(\S+)")[1]
    told = desk.do(RECORDINGS.python(), *CLI, "mark", "--from-lsl", "nothing", "--address", address, **lsl)
    assert (told.code, told.out) == (2, "")
    assert "there is no LSL stream 'nothing'" in told.err
    server.process.send_signal(signal.SIGINT)
    server.end()
