"""The scenarios of many seeds, one after the other; one that fails is made short."""

import msgspec

from ezmsg.ledger.tools.selftest.broken import Broken
from ezmsg.ledger.tools.selftest.effort import Effort

from .play import play
from .scenarios import Scenario, scenario_of


def shorten(scenario: Scenario) -> Scenario:
    """The shortest story that still fails, as far as leaving out steps, faults and bytes one by one leads."""
    current = scenario
    while True:
        for candidate in _simpler(current):
            if _fails(candidate):
                current = candidate
                break
        else:
            return current


def _simpler(scenario: Scenario) -> list[Scenario]:
    replace = msgspec.structs.replace
    steps = scenario.steps
    shorter = [replace(scenario, steps=steps[:n] + steps[n + 1 :]) for n in range(len(steps))]
    plainer = [
        replace(scenario, steps=(*steps[:n], simple, *steps[n + 1 :]))
        for n, step in enumerate(steps)
        for simple in (replace(step, fault=None), replace(step, events=1, size=8))
        if simple != step
    ]
    easier = [replace(scenario, write_most=None), replace(scenario, evict=False)]
    return [*shorter, *plainer, *(each for each in easier if each != scenario)]


def _fails(scenario: Scenario) -> bool:
    try:
        play(scenario)
    except Broken:
        return True
    return False


def explore(effort: Effort, seeds: range) -> None:
    """The stories of ``seeds``, until the effort's time is over. Raises Broken, with the shortest that fails."""
    for seed in seeds:
        scenario = scenario_of(seed)
        try:
            played = play(scenario)
        except Broken as error:
            shortest = shorten(scenario)
            raise Broken(f"seed {seed}: {error}; in short: {shortest}", f"seed {seed}") from error
        effort.figures["seeds"] += 1
        effort.figures["faults injected"] += played.faults
        effort.figures["power cuts"] += played.cuts
        if effort.over:
            return
