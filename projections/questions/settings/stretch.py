"""The settings over a stretch of events: which never changed, and each change of the others, with who asked."""

from typing import Any

from ezmsg.ledger.projections.lifetimes.columns import Fact
from ezmsg.ledger.projections.questions.answers import SettingChange, SettingsOver
from ezmsg.ledger.projections.questions.evidence import Evidence
from ezmsg.ledger.projections.questions.settings.history import Publishers, Requests, change_of

EARLIER = 1000
"""Events before the stretch in which requests are looked for that a change in it may have come of."""


def settings_over(evidence: Evidence, first: int, last: int) -> SettingsOver:
    """See ``Timeline.settings_over``."""
    lifetimes = evidence.lifetimes
    lives: dict[str, list[Fact]] = {}
    for fact in lifetimes.facts_over("setting", first, last):
        lives.setdefault(fact.name, []).append(fact)
    settings = evidence.at(first).settings
    owners = {fact.name: fact.value for fact in lifetimes.facts_over("component", first, last)}
    constant: dict[str, Any] = {}
    before: dict[str, Any] = {}
    for unit, record in settings.items():
        steady = [life for life in lives.get(unit, []) if life.born <= first and life.died > last]
        (constant if steady else before)[unit] = record.value
    changed = {unit: facts for unit, facts in lives.items() if unit not in constant}
    asked = lifetimes.facts_over("request", max(0, first - EARLIER), last) if changed else []
    changes: list[tuple[str, SettingChange]] = []
    for unit, facts in changed.items():
        requests, publishers = Requests(evidence, unit, asked), Publishers(evidence, unit)
        earlier: Fact | None = None
        for life in facts:
            if life.born > first:
                follows = earlier if earlier is not None and earlier.died == life.born else None
                changes.append((unit, change_of(evidence, life, follows, requests, publishers, False)))
            earlier = life
    changes += _endings(evidence, changed, last)
    changes.sort(key=lambda item: item[1].seq)
    return SettingsOver(first, last, constant, before, changes, owners)


def _endings(evidence: Evidence, changed: dict[str, list[Fact]], last: int) -> list[tuple[str, SettingChange]]:
    """The values that went, up to event ``last``, without another one in their place."""
    found = []
    for unit, facts in changed.items():
        born = {life.born for life in facts}
        for life in facts:
            if life.died <= last and life.died not in born:
                went = evidence.cause(life.died, "setting", True)
                value = life.value[0]
                gone = SettingChange(
                    seq=life.died, time=evidence.time(life.died), until=None, how="gone", value=None, before=value,
                    fields=[], process=None, request=None, asked_by=None, label=None, likely=[], came=went, went=None,
                )  # fmt: skip
                found.append((unit, gone))
    return found
