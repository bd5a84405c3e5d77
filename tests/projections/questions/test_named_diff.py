"""Two runs of a system compared by names: ids, UUIDs and pids do not count."""

from typing import Any

from ezmsg.ledger import events as ev
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.questions.named_diff import GROUPS
from ezmsg.ledger.projections.questions.timeline import Timeline


def run(uuid: str, gain: float, *more: Any, early: int = 0) -> Timeline:
    """A run in which ids depend on ``early``: how many sessions there were before."""
    ledger = Ledger.memory()
    for number in range(early):
        ledger.append([ev.SessionOpened(uuid=f"{uuid}-{number}")])
        ledger.append([ev.SessionClosed(session=ledger.head, reason="closed")])
    ledger.append([ev.SessionOpened(uuid=uuid, label="SYS")])
    session = ledger.head
    ledger.append([ev.ProcessOpened(uuid=f"{uuid}p")])
    process = ledger.head
    value = ev.SettingsValue(serialized=None, repr_value={"gain": gain}, structured_value={"gain": gain})
    ledger.append(
        [
            ev.EdgeConnected(from_topic="A", to_topic="B", owner=session),
            ev.ProcessRegistered(process=process, pid=process, host="h", units=("U",)),
            ev.SettingsUpdated(process=process, component="U", value=value),
            ev.PublisherOpened(uuid=f"{uuid}e", topic="A"),
            *more,
        ]
    )
    return Timeline(ledger)


def test_runs_that_are_alike_do_not_differ() -> None:
    one, other = run("x", 1.0), run("y", 1.0, early=3)
    assert one.diff("end", "start")
    found = one.compare("end", "end", other)
    assert not found
    assert repr(found) == "<no difference>"


def test_what_differs_is_told_by_names_and_backwards_the_other_way_round() -> None:
    one = run("x", 1.0)
    other = run("y", 2, ev.EdgeConnected(from_topic="A", to_topic="B", owner=None), early=1)
    found, back = one.compare("end", "end", other), other.compare("end", "end", one)
    told = [(each.group, each.name, each.before, each.after) for each in found.changes]
    assert told[0] == ("edges", ("A", "B"), ['"SYS"'], ['"SYS"', "persistent"])
    [(_, name, before, after)] = [each for each in told if each[0] == "settings"]
    assert (name, before.structured_value, after.structured_value) == ("U", {"gain": 1.0}, {"gain": 2})
    assert len(told) == 2
    assert [(each.group, each.name, each.after, each.before) for each in back.changes] == told
    assert [each.group for each in found.changes] == [group for group in GROUPS if found.of(group)]


def test_one_run_is_compared_with_itself() -> None:
    found = run("x", 1.0).compare("start", "end")
    assert {(each.group, each.name): (each.before, each.after) for each in found.of("endpoints")} == {
        ("endpoints", "publisher of A"): (None, 1)
    }
    assert [each.name for each in found.of("processes")] == ["running U"]
