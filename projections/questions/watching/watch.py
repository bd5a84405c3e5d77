"""Watches: a predicate that is followed while a ledger grows; each change of it is told with the event that made it."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter, length_hint
from typing import Any

from msgspec.structs import replace

from ezmsg.ledger import events as ev
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.lifetimes.landmarks import SessionMark
from ezmsg.ledger.projections.projection import contradiction
from ezmsg.ledger.projections.questions import causes
from ezmsg.ledger.projections.questions import predicates as pr
from ezmsg.ledger.projections.questions.answers import Answer, Cause
from ezmsg.ledger.projections.questions.watching.condition import Condition
from ezmsg.ledger.projections.questions.watching.conditions import condition_of, facts, holds
from ezmsg.ledger.projections.questions.watching.wiring_conditions import WiringCondition
from ezmsg.ledger.reader import POLL_S, LedgerReader

_seq_of = itemgetter(0)
_EDGES = frozenset({ev.EdgeConnected, ev.EdgeDisconnected})
_ENDS = frozenset({*WiringCondition.types, ev.ProcessClosed, ev.EndpointClosed, ev.RequestAnswered})

Words = Callable[[GraphState, Any], str]
"""A function that says an event in words, given the state at it; "" where it has none."""


class Turn(Answer, frozen=True):
    """A predicate became true, or false, with event ``seq`` at ``time`` (ns since the epoch, UTC): the ``cause``."""

    seq: int
    time: int
    now: bool
    cause: Cause

    def __repr__(self) -> str:
        return f"<seq {self.seq}: {'true' if self.now else 'false'}, {self.cause.text}>"


class Watch:
    """A standing question to a ledger that grows: iterate over it, with ``for`` or with ``async for``.

    ``now`` says whether the predicate holds, after event ``seq``. It agrees with ``Timeline.when`` of the ledger as it
    is then, but that a name which nobody has used yet is accepted: an edge of such a topic is not there. Iteration ends
    after ``stop``, or ``timeout`` seconds; it raises DamagedLedger and HistoryChanged as ``tail`` does. Each event
    costs what it touches.
    """

    def __init__(
        self,
        ledger: LedgerReader,
        predicate: pr.Predicate,
        state: GraphState,
        sessions: Iterable[SessionMark],
        *,
        poll: float = POLL_S,
        timeout: float | None = None,
        words: Words | None = None,
    ) -> None:
        self.predicate = str(predicate)
        self._ledger = ledger
        self._predicate = predicate
        self._state = state
        self._poll = poll
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._words = words
        self._stopped = threading.Event()
        ever = list(sessions)
        self._conditions = {str(fact): condition_of(fact, ever) for fact in facts(predicate)}
        self._wiring = [each for each in self._conditions.values() if isinstance(each, WiringCondition)]
        self._by_type: dict[type, list[Condition]] = {}  # the others
        for each in self._conditions.values():
            each.look(None, state)
            for kind in () if each in self._wiring else each.types:
                self._by_type.setdefault(kind, []).append(each)
        self.seq = state.seq
        self.now = self._holds()

    def stop(self) -> None:
        """End the iteration, from any thread: within one look at the ledger."""
        self._stopped.set()

    def take(self, events: Sequence[Any]) -> list[Turn]:
        """The turns in the events that follow, in order."""
        turns: list[Turn] = []
        if events and not self.seq:  # only with the first of all there is a graph to speak of
            self._go(events[:1], turns)
            self._turn(events[0], turns)
            events = events[1:]
        self._go(events, turns)
        return turns

    def _go(self, events: Sequence[Any], turns: list[Turn]) -> None:
        """Go on over events: over a run of edges at once, over others one by one."""
        streams = [(each, iter(events)) for each in self._wiring]
        others = (event for event in events if type(event) not in _EDGES)
        while (other := self._rewire(events, streams, turns) if streams else next(others, None)) is not None:
            self._meet(other, turns)
        if events:
            self.seq = events[-1].seq

    def _rewire(
        self, events: Sequence[Any], streams: list[tuple[WiringCondition, Iterator[Any]]], turns: list[Turn]
    ) -> Any:
        """Go on over a run of edges, of which each condition reads its own stream; returns the event that ended it."""
        other = None
        turning: list[tuple[int, Any, WiringCondition]] = []
        for each, stream in streams:
            try:
                found, other = each.take(stream)
            except KeyError as error:
                raise contradiction(events[-1 - length_hint(stream)].seq, error) from error
            turning += [(event.seq, event, each) for event in found]
        turning.sort(key=_seq_of)
        for _, group in groupby(turning, _seq_of):
            with_it = list(group)
            for _, _, each in with_it:
                each.now = not each.now
            self._turn(with_it[0][1], turns)
        return other

    def _meet(self, event: Any, turns: list[Turn]) -> None:
        """Go on over one event that is not of an edge, and look at the conditions that it touches."""
        if type(event) in WiringCondition.types:
            for condition in self._wiring:
                condition.look(event, self._state)
        others = [each for each in self._by_type.get(type(event), ()) if each.touches(event)]
        told = self._cause(event) if type(event) in _ENDS and (others or self._holds() != self.now) else None
        # Edges are not applied: nothing asks the state about them.
        self._state.seq = event.first - 1 if type(event) is ev.Gap and event.lost else event.seq - 1
        self._state.apply_batch((event,))
        for each in others:
            each.look(event, self._state)
        self.seq = event.seq
        self._turn(event, turns, told)

    def __iter__(self) -> Iterator[Turn]:
        for batch in self._ledger.tail(self.seq, self._poll, self._is_over):
            yield from self.take(batch)

    async def __aiter__(self) -> AsyncIterator[Turn]:
        import asyncio  # no program that only looks waits for it

        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[Turn | BaseException | None] = asyncio.Queue()

        def follow() -> None:
            last: BaseException | None = None
            try:
                for turn in self:
                    loop.call_soon_threadsafe(queue.put_nowait, turn)
            except BaseException as error:  # raised again where somebody waits for it
                last = error
            if not loop.is_closed():
                loop.call_soon_threadsafe(queue.put_nowait, last)

        thread = threading.Thread(target=follow, name="watch", daemon=True)
        thread.start()
        try:
            while isinstance(found := await queue.get(), Turn):
                yield found
            if found is not None:
                raise found
        finally:
            self.stop()
            await loop.run_in_executor(None, thread.join)

    def _is_over(self) -> bool:
        return self._stopped.is_set() or (self._deadline is not None and time.monotonic() >= self._deadline)

    def _holds(self) -> bool:
        """Whether it holds; before the first event there is no graph to speak of."""
        return self.seq > 0 and holds(self._predicate, self._conditions)

    def _turn(self, event: Any, turns: list[Turn], told: Cause | None = None) -> None:
        """Note a turn if the predicate holds no longer, or now does."""
        now = self._holds()
        if now != self.now:
            self.now = now
            turns.append(Turn(event.seq, event.time, now, told or self._cause(event)))

    def _cause(self, event: Any) -> Cause:
        """The event in words. One that ends something is told before it is applied, while that still has its name."""
        cause = causes.deed(event, self._name)
        said = "" if self._words is None else self._words(self._state, event)
        return replace(cause, text=said) if said else cause

    def _name(self, owner: int | None) -> str:
        return causes.owner_name(owner, None if owner is None else self._state.sessions.get(owner))
