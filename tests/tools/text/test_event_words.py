"""One event is told in one way: the words that `log` begins with are those of every other command."""

import shutil
from pathlib import Path

import pytest

from ezmsg.ledger import events as ev
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.questions.answers import Cause
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.tools.text.event_words import Recollection, deed, end_text
from ezmsg.ledger.tools.text.sentences import Story

TESTS = Path(__file__).parents[2]
LEDGERS = [TESTS / "golden/v1.ledger", TESTS / "golden/rules-2.ledger", TESTS / "tools/documents/demo.ledger"]
DEEDLESS = (ev.CommandRejected, ev.RequestAnswered)
"""Events that mean nothing without the state before them."""


def cause(event: ev.AnyEvent) -> Cause:
    return Cause(event.seq, event.time, "", "in the library's words", ev.type_of(event))


@pytest.mark.parametrize("source", LEDGERS, ids=lambda path: path.stem)
def test_a_sentence_begins_with_the_words_that_all_commands_use(tmp_path: Path, source: Path) -> None:
    shutil.copy(source, tmp_path / "x.ledger")
    told = 0
    with Ledger.open(tmp_path / "x.ledger", "r") as ledger:
        story = Story(GraphState(), most=10**9)
        for event in ledger.entries():
            said = deed(story.state, event, 10**9)
            sentence = story.tell(event).told.text
            assert (said == "") == isinstance(event, DEEDLESS)
            if not isinstance(event, ev.SettingsUpdated):  # there the values before are told in the midst of it
                assert sentence.startswith(said), (sentence, said)
                told += said != ""
    assert told > 30


@pytest.mark.parametrize("source", LEDGERS, ids=lambda path: path.stem)
def test_a_history_finds_the_names_that_the_state_had(tmp_path: Path, source: Path) -> None:
    """But for labels and pids that became known later, and the topic of a channel whose publisher is gone: with them a
    name says more."""
    shutil.copy(source, tmp_path / "x.ledger")
    with Ledger.open(tmp_path / "x.ledger", "r") as ledger:
        past, state = Recollection(Timeline(ledger)), GraphState()
        for event in ledger.entries():
            said = deed(state, event)
            found = past.tell(cause(event))
            state.apply(event)
            if not said:
                assert found == "in the library's words"
            elif not any(word in said for word in ("session", "process", "channel")):
                assert found.removesuffix(" (found so; it happened before)") == said


def test_a_lost_server_is_named_by_its_run(tmp_path: Path) -> None:
    with Ledger.memory() as ledger:
        ledger.append([ev.ServerStarted(uuid="u", kind="server", name="rig", host="lab", pid=7, versions={}, rules=2)])
        [lost] = ledger.append([ev.ServerLost(server=1, last_seen=None)])
        assert Recollection(Timeline(ledger)).tell(cause(lost)) == 'server "rig" (pid 7 on lab) was lost'


@pytest.mark.parametrize(
    ("reason", "detail", "text"),
    [
        ("closed", "eof", "closed"),
        ("lost", "reset", "was lost (reset)"),
        ("unseen", None, "ended while nobody recorded"),
        ("gone fishing", "timeout", "ended (gone fishing) (timeout)"),
    ],
)
def test_an_end_has_one_wording(reason: str, detail: str | None, text: str) -> None:
    assert end_text(reason, detail) == text
