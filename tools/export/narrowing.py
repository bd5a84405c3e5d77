"""A choice from a state or a history, by names: what is inside a component, or has a text in its name."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from ezmsg.ledger.events import AnyEvent
from ezmsg.ledger.projections.questions.name_hints import near
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.tools.exits import Misuse
from ezmsg.ledger.tools.text.phrases import EVERYTHING
from ezmsg.ledger.tools.text.sentences import Story


class Narrowing(msgspec.Struct, frozen=True):
    """A choice by names. ``below``: the address of a component, that one and all inside it; ``topic``: a text that a
    topic or a component has in its name, whatever its capitals. None: no limit."""

    below: str | None = None
    topic: str | None = None

    def __bool__(self) -> bool:
        return self.below is not None or self.topic is not None

    def wants(self, names: Iterable[str | None]) -> bool:
        """Whether any of some topics and addresses is wanted by both limits."""
        known = [name for name in names if name]
        below = self.below is None or any(f"{name}/".startswith(f"{self.below}/") for name in known)
        topic = self.topic is None or any(self.topic.casefold() in name.casefold() for name in known)
        return below and topic

    def events(self, timeline: Timeline, first: int, last: int) -> Iterator[list[AnyEvent]]:
        """The events from ``first`` to ``last`` that concern what is wanted, consequences included: the end of a
        session is wanted when a wanted edge went with it. Cost: the fold of those events."""
        ledger = timeline.ledger
        if not self:
            yield from ledger.read(first - 1, last)
            return
        first = max(first, ledger.first)
        story = Story(timeline.at(min(first - 1, ledger.head)), EVERYTHING)
        for batch in ledger.read(first - 1, last):
            wanted = [event for event in batch if self.wants(story.tell(event).told.words)]
            if wanted:
                yield wanted

    def check(self, timeline: Timeline) -> None:
        """Raise Misuse, with names that are near, when no name that the ledger ever spoke of is wanted."""
        if not self:
            return
        subjects = timeline.subjects
        topics, components = subjects.topics(), subjects.components()
        if self.below is not None and not Narrowing(below=self.below).wants([*topics, *components]):
            raise Misuse(f"there is nothing below {self.below!r}", hint=near(self.below, components, "components"))
        if not self.wants_some([*topics, *components]):
            raise Misuse(
                f"no topic or component has {self.topic!r} in its name", hint=near(self.topic or "", topics, "topics")
            )

    def wants_some(self, names: Iterable[str]) -> bool:
        """Whether any single one of the names is wanted."""
        return any(self.wants([name]) for name in names)

    def rows(self, rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """The rows of a state that name what is wanted."""
        return (row for row in rows if self.wants(row.get(name) for name in ("name", "from_topic", "to_topic")))
