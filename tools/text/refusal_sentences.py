"""The reasons why commands were refused, in sentences: the cycle with its owners, the session that was there first."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from ezmsg.ledger.events import CommandRejected
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.questions.moments.times import span_text
from ezmsg.ledger.tools.output import listed
from ezmsg.ledger.tools.text import names
from ezmsg.ledger.tools.text.value_text import value_text
from ezmsg.ledger.wording import count


def refusal(state: GraphState, event: CommandRejected, most: int) -> tuple[str, tuple[str, ...]]:
    """The command that was wanted and why it was refused; and the topics, addresses or units that it speaks of.

    Arguments and causes come from the recorder, of any version: those that are not as expected are shown as they are.
    """
    who = names.actor(state, event.actor, event.peer)
    if (words := _WORDS.get(event.reason)) is not None:
        return f"{who} {words.format(command=event.command, detail=_detail(event))}", ()
    if (tell := _REASONS.get(event.reason)) is not None:
        try:
            return tell(state, who, event, most)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError):
            pass  # another recorder's idea of this reason: shown below as it is
    return _as_it_is(who, event)


def _as_it_is(who: str, event: CommandRejected) -> tuple[str, tuple[str, ...]]:
    arguments = f" {value_text(event.arguments)}" if event.arguments is not None else ""
    cause = f": {value_text(event.cause)}" if event.cause is not None else ""
    return f"{event.command}{arguments} by {who} ({event.reason}{cause})", ()


def _cycle(state: GraphState, who: str, event: CommandRejected, most: int) -> tuple[str, tuple[str, ...]]:
    from_topic, to_topic = event.arguments
    path, owners = event.cause["path"], event.cause["owners"]
    wanted = f"{who} wanted {from_topic} -> {to_topic}"
    if from_topic == to_topic:
        return f"{wanted}, but a topic cannot feed itself", (from_topic,)
    steps = [
        f"{names.edge(step)} (held by {', '.join(names.by_uuid(state, owner) for owner in held)})"
        for step, held in zip(pairwise(path), owners, strict=True)
    ]
    left_out = event.cause.get("left_out", 0)
    more = f" and {left_out} more" if left_out else ""
    return f"{wanted}, but that would close a cycle: {listed(steps, most)}{more}", tuple(dict.fromkeys(path))


def _collision(state: GraphState, who: str, event: CommandRejected, most: int) -> tuple[str, tuple[str, ...]]:
    addresses = tuple(event.cause["addresses"])
    holders = ", ".join(names.by_uuid(state, uuid) for uuid in event.cause["sessions"])
    wanted = f"{who} wanted to register {count(event.arguments['components'], 'component')}"
    told = "; ".join(_holder(state, each, event.time) for each in event.cause.get("holders", ()))
    more = f" ({told})" if told else ""
    return f"{wanted}, but {holders} has registered {listed(list(addresses), most)}{more}", addresses


def _holder(state: GraphState, holder: dict[str, Any], now: int) -> str:
    """How long a session that was in the way had been there, and who held its connection."""
    record = state.sessions.get(holder["session"])
    age = f"session {holder['session']}"
    if record is not None:
        age += f", open for {span_text(max(0, now - record.opened))}"
    behind = [f"process {each['pid']} ({each['name']})" for each in holder["processes"]]
    return f"{age}, held by {' and '.join(behind)}" if behind else age


def _conflict(state: GraphState, who: str, event: CommandRejected, most: int) -> tuple[str, tuple[str, ...]]:
    units: dict[str, str] = event.cause["units"]
    taken = [f"{unit}, which {names.by_uuid(state, uuid)} runs" for unit, uuid in units.items()]
    return f"{who} claimed {listed(taken, most, '; ')}", tuple(units)


def _not_owner(state: GraphState, who: str, event: CommandRejected, most: int) -> tuple[str, tuple[str, ...]]:
    component = event.arguments["component"]
    return f"{who} reported settings of {component}, which it does not run", (component,)


def _detail(event: CommandRejected) -> str:
    if event.arguments is None:
        return ""
    return f": {event.arguments if isinstance(event.arguments, str) else value_text(event.arguments)}"


_WORDS = {
    "malformed": "sent a malformed {command}{detail}",
    "unknown_command": "sent {command}, which is not a command here{detail}",
    "unknown_publisher": "wanted a channel to a publisher that is not there{detail}",
    "not_asked": "answered a request that nobody had made{detail}",
    "not_local": "sent {command}, which only programs of this machine may",
    "host_not_allowed": "was not let in: its host is none of those that are allowed",
    "too_many_connections": "was not let in: there were too many connections",
    "too_many_from_host": "was not let in: there were too many connections from its host",
}
"""The words for the one who was refused, by the reason, where that is all there is to say."""

_REASONS: dict[str, Callable[[GraphState, str, CommandRejected, int], tuple[str, tuple[str, ...]]]] = {
    "cycle": _cycle,
    "collision": _collision,
    "conflict": _conflict,
    "not_owner": _not_owner,
}
