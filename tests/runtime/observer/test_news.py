"""Which difference each entry of a server's stream explains."""

from collections import Counter

from ezmsg.ledger.runtime.observer.news import Change, Told


def told(*changes: tuple[str | None, tuple[str, ...]], processes: tuple[str, ...] = ()) -> Told:
    found = [Change(number, topics, session, None) for number, (session, topics) in enumerate(changes, 1)]
    found += [Change(len(found) + number, (), None, process) for number, process in enumerate(processes, 1)]
    return Told(found)


def test_each_explains_one_edge_of_its_owner() -> None:
    found = told(("s", ("B",)), ("t", ("B",)), ("s", ("B",)), (None, ("B",)))
    assert [found.take(owner, "B") for owner in ("s", "s", "s", None, None)] == [1, 3, None, 4, None]
    assert found.left == 1


def test_a_release_is_the_last_of_a_session_that_is_gone_and_names_several_targets_of_one_that_is_not() -> None:
    assert told(("s", ("B",)), ("s", ("C",))).take_release("s", gone=True) == 2
    assert told(("s", ("B",)), ("s", ("C",))).take_release("s", gone=False) is None
    assert told(("s", ("B", "C")), ("s", ("C",))).take_release("s", gone=False) == 1


def test_processes_and_registrations() -> None:
    found = told(("s", ()), processes=("p", "q", "p"))
    assert found.sources() == (["s"], ["p", "q"])
    found.pass_over_registrations()
    assert (found.take_process("p"), found.left) == (4, 2)


def test_what_comes_late_is_not_counted_again() -> None:
    """A look has shown it before the stream told."""
    found = told(("s", ("B",)), ("s", ("B",)), ("t", ("B", "C")), (None, ("X",)), processes=("p",))
    known = Counter({("s", "B"): 1, ("t", None): 1, ("p", None): 1, (None, "Y"): 1})
    found.pass_over_late(known)
    assert found.left == 2
    assert known[None, "Y"] == 1
