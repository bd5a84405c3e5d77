"""Carrying out a plan that brings a live graph back to a past state."""

import time
from collections.abc import Callable, Sequence

from ezmsg.core.graphmeta import SettingsFieldUpdateRequest

from ezmsg.ledger.projections.graph.views.snapshot import PERSISTENT
from ezmsg.ledger.projections.questions.settings.change_request import UPDATE
from ezmsg.ledger.runtime.client.line import Line
from ezmsg.ledger.runtime.client.restoration import Plan, Rewiring, Setting
from ezmsg.ledger.runtime.recorder.control_client import NoAnswer, ask
from ezmsg.ledger.runtime.server.pickles import dumps
from ezmsg.ledger.runtime.server.wire.protocol import Command
from ezmsg.ledger.values import thaw

ANSWER_S = 5.0
"""Time that a process has to answer a request to change a setting."""

SETTLE_S = 5.0
"""Time that units have to report the settings which were sent to them: they do so when a message has arrived."""

SETTLE_POLL_S = 0.05


def is_recorder(address: str) -> bool:
    """Whether the graph server at ``address`` is one of ours, and is asked from its own machine."""
    try:
        ask(address, "head")
    except NoAnswer:
        return False
    return True


def restore(address: str, line: Line, plan: Plan, *, recorder: bool, source: str, author: str | None) -> list[str]:
    """Carry out ``plan`` at the server to which ``line`` is a session; returns what was refused, each with the reason.

    ``recorder``: as for ``restoration.plan``. All edges change at once then, or none does, on record as asked for by
    ``author`` for the sake of ``source``; in ezmsg's own server they change one after the other. Raises NoAnswer,
    Broken.
    """
    refused = []
    if plan.rewirings and recorder:
        holds = [_hold(each) for each in plan.rewirings]
        ask(address, "rewire", name=f"restore of {source}", author=author, holds=holds)
    elif plan.rewirings:
        refused += [why for each in plan.rewirings if (why := _single(address, each)) is not None]
    refused += [why for each in plan.settings if (why := _setting(line, each)) is not None]
    return refused


def _hold(rewiring: Rewiring) -> dict[str, object]:
    owner = PERSISTENT if rewiring.owner is None else rewiring.owner
    return {
        "connect": rewiring.connect,
        "from_topic": rewiring.from_topic,
        "to_topic": rewiring.to_topic,
        "owner": owner,
    }


def _single(address: str, rewiring: Rewiring) -> str | None:
    """Change a persistent edge, as any program can; why that was refused, if it was."""
    command = Command.CONNECT if rewiring.connect else Command.DISCONNECT
    with Line(address, command) as line:
        if line.say(command, rewiring.from_topic, rewiring.to_topic):
            return None
    return f"{rewiring.from_topic} -> {rewiring.to_topic} would close a cycle"


def _setting(line: Line, setting: Setting) -> str | None:
    """Ask the process that runs a unit for a setting; why that was refused, if it was."""
    payload = dumps(SettingsFieldUpdateRequest(setting.field, thaw(setting.then)))
    answer = line.ask(Command.SESSION_PROCESS_REQUEST, setting.unit, UPDATE, str(ANSWER_S), payload=payload)
    if answer.ok:
        return None
    code = getattr(answer.error_code, "value", answer.error_code)
    return f"{setting.unit}.{setting.field}: {' '.join(str(answer.error or code or 'no reason given').split())}"


def settled(left: Callable[[], Plan], refused: Sequence[str]) -> Plan:
    """The plan of what is left to do, once that is nothing, or SETTLE_S have passed. Nothing that was refused is waited
    for. ``left`` makes it anew."""
    deadline = time.monotonic() + SETTLE_S
    while True:
        found = left()
        if found.commands <= len(refused) or time.monotonic() >= deadline:
            return found
        time.sleep(SETTLE_POLL_S)
