"""Asked, answered and reported: where they differ, that is listed; where they agree, it is not."""

import pickle
from typing import Any

import pytest
from ezmsg.core.graphmeta import SettingsFieldUpdateRequest, SettingsSnapshotValue

from ezmsg.ledger import events as ev
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.questions.settings.change_request import UPDATE
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.runtime.live import ERROR_KEPT, LiveGraph

SECOND = 10**9


class Scene:
    """A unit in a process, and a session that asks for changes; the clock goes on by a second with each event."""

    def __init__(self) -> None:
        self.now = 0
        self.ledger = Ledger.memory(clock=self.clock)
        self.live = LiveGraph(self.ledger)
        self.session, self.process = self.live.open_session(), self.live.open_process()
        self.live.register_process(self.process, 1, "h", ["U"])
        self.report(gain=1.0)

    def clock(self) -> int:
        self.now += SECOND
        return self.now

    def report(self, **fields: Any) -> None:
        self.live.update_settings(self.process, "U", ev.SettingsValue(pickle.dumps(fields), fields, fields))

    def ask(self, wanted: Any) -> int:
        payload = pickle.dumps(SettingsFieldUpdateRequest("gain", wanted))
        return self.live.route_request(self.session, f"r{self.now}", "U", UPDATE, payload)[0]

    def answer(self, request: int, **fields: Any) -> None:
        answer = pickle.dumps(SettingsSnapshotValue(pickle.dumps(fields), fields, fields))
        self.live.answer_request(request, True, None, 5, None, answer)

    def doubts(self) -> list[Any]:
        found = Timeline(self.ledger).setting_doubts("U")
        return [(each.kind, each.asked, each.answered, each.reported) for each in found]


@pytest.mark.parametrize("report_first", [False, True])
def test_what_arrives_as_it_was_asked_for_is_no_doubt(report_first: bool) -> None:
    """A report and an answer go different ways: either may come first."""
    scene = Scene()
    request = scene.ask(2)
    if report_first:
        scene.report(gain=2.0)
    scene.answer(request, gain=2.0)
    if not report_first:
        scene.report(gain=2.0)
    scene.report(gain=2.0)
    scene.report(gain=2.0)
    assert scene.doubts() == []


def test_each_way_in_which_they_differ() -> None:
    scene = Scene()
    scene.answer(scene.ask("3"), gain=3.0)
    scene.report(gain=3.0)
    scene.answer(scene.ask(4.0), gain=4.0)
    scene.report(gain=7.0)
    scene.live.answer_request(scene.ask(-1), False, "HANDLER_ERROR", 5, "x" * 5000)
    scene.answer(scene.ask(5.0), gain=5.0)
    for _ in range(3):
        scene.live.open_session()
    assert scene.doubts() == [
        ("changed", "3", 3.0, None),
        ("other", 4.0, 4.0, 7.0),
        ("refused", -1, None, None),
        ("not reported", 5.0, 5.0, None),
    ]
    [refused] = [each for each in Timeline(scene.ledger).setting_doubts() if each.kind == "refused"]
    assert refused.text == "HANDLER_ERROR: " + "x" * ERROR_KEPT


def test_a_profile_that_is_answered_is_not_kept() -> None:
    scene = Scene()
    request, _ = scene.live.route_request(scene.session, "p", "U", "GET_PROFILING_SNAPSHOT", None)
    scene.live.answer_request(request, True, None, 5, None, b"a long profile")
    answer = list(scene.ledger.entries())[-1]
    assert (answer.payload, answer.size) == (None, 0)
