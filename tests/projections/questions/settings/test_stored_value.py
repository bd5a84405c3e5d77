"""A change is found in what is kept, and told of the field that it is in, whatever the shown form says."""

import pickle
from typing import Any

import numpy as np

from ezmsg.ledger.events import SettingsValue
from ezmsg.ledger.projections.questions.settings.stored_value import HIDDEN, changes


class Tuning:
    def __init__(self, **fields: Any) -> None:
        vars(self).update(fields)


def value(shown: dict[str, Any], **held: Any) -> SettingsValue:
    return SettingsValue(pickle.dumps(Tuning(**held)), shown, shown)


def test_one_element_of_an_array_whose_shown_form_stays() -> None:
    """ezmsg abbreviates arrays of more than 1,000 elements, as numpy's repr does."""
    before, after = np.zeros(5000), np.zeros(5000)
    after[4321] = 1
    shown = {"weights": str(before), "gain": 1.0}
    assert shown["weights"] == str(after)
    [change] = changes(value(shown, weights=before, gain=1.0), value(shown, weights=after, gain=1.0))
    assert (change.path, change.note) == ("weights", "1 of 5,000 elements differs: [4321] 0.0 -> 1.0")


def test_another_way_of_showing_the_same_values_is_no_change() -> None:
    """Beside pydantic one field that cannot be dumped changes how all of them are shown."""
    before = value({"where": "a/b", "gain": 1.0}, where="a/b", gain=1.0)
    after = value({"where": "PosixPath('a/b')", "gain": 2.0}, where="a/b", gain=2.0)
    assert [(each.path, each.before, each.after) for each in changes(before, after)] == [("gain", 1.0, 2.0)]


def test_what_cannot_be_told_is_said_so() -> None:
    shown = {"model": "Net(...)"}
    one, other = value(shown, model=Tuning(layers=1)), value(shown, model=Tuning(layers=2))
    [change] = changes(one, other)
    assert (change.path, change.note) == ("model", HIDDEN)
    assert changes(one, value(shown, model=Tuning(layers=1.0))) == []
    unreadable = [SettingsValue(data, shown, shown) for data in (b"\x80\x04one", b"\x80\x04two")]
    [change] = changes(*unreadable)
    assert (change.path, change.note) == ("", HIDDEN)
    assert changes(unreadable[0], unreadable[0]) == []


def test_values_without_a_pickle_are_compared_as_shown() -> None:
    one, other = SettingsValue(None, {"a": 40, "b": True}, None), SettingsValue(None, {"a": 40.0, "b": 1.0}, None)
    assert [(each.path, each.before, each.after) for each in changes(one, other)] == [("b", True, 1.0)]
