"""The parameters of each address below ``/api/v1/``, as Structs: requests are read by them, and the OpenAPI file is
made of them."""

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

from ezmsg.ledger.events import INT_MAX

EVENTS_MAX = 1000
"""Events in one answer."""

BUCKETS_MAX = 2000
"""More than there are pixels in a row."""

TEXT_MAX = 4096
"""Characters of a moment, a subject or a predicate."""

Text: TypeAlias = Annotated[str, Meta(min_length=1, max_length=TEXT_MAX)]
Moment: TypeAlias = Annotated[
    str,
    Meta(min_length=1, max_length=TEXT_MAX, description="A seq, a time, -5m, start, end, mark:NAME, run:last, ..."),
]
Seq: TypeAlias = Annotated[int, Meta(ge=0, le=INT_MAX)]


class Query(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all: a parameter that is not known is an error, not a slip that is passed over."""


class Nothing(Query, frozen=True):
    """No parameters."""


class Lifetimes(Query, frozen=True, rename={"with_": "with"}):
    """``after``: the head of an answer that was given, of history ``epoch``; ``first`` and ``last``: a window of seqs;
    ``component``: only when the settings of this one changed; ``with``: of the other ledger, all of it."""

    after: Seq = 0
    epoch: Seq | None = None
    first: Seq | None = None
    last: Seq | None = None
    component: Text | None = None
    with_: bool = False


class At(Query, frozen=True):
    at: Moment = "end"


class Difference(Query, frozen=True, rename={"from_": "from", "with_": "with"}):
    """``with``: take ``to`` from the other ledger, and compare by names."""

    from_: Moment
    to: Moment = "end"
    by_name: bool = False
    with_: bool = False


class Events(Query, frozen=True):
    """``after``: the event before the first one; the others as the options of ``log``; types separated by commas.

    ``lines=false``: only the events, which needs no state to begin with."""

    after: Seq = 0
    until: Moment = "end"
    limit: Annotated[int, Meta(ge=1, le=EVENTS_MAX)] = 200
    type: Text | None = None
    session: Text | None = None
    topic: Text | None = None
    component: Text | None = None
    fold: bool = True
    lines: bool = True


class Density(Query, frozen=True, rename={"from_": "from"}):
    """``by``: stretches of as many seqs, or of as much time."""

    from_: Moment = "start"
    to: Moment = "end"
    buckets: Annotated[int, Meta(ge=1, le=BUCKETS_MAX)] = 200
    by: Literal["seq", "time"] = "seq"


class About(Query, frozen=True):
    subject: Text
    at: Moment = "end"


class HistoryOf(Query, frozen=True):
    subject: Text


class When(Query, frozen=True):
    predicate: Text
    at: Moment = "end"


class Path(Query, frozen=True, rename={"from_": "from"}):
    from_: Text
    to: Text
    at: Moment = "end"
    through_units: bool = False


class Explain(Query, frozen=True):
    topic: Text
    at: Moment = "end"


class Settings(Query, frozen=True):
    """The parameters of ``settings``. Without ``unit``: what is in force everywhere."""

    unit: Text | None = None
    field: Text | None = None
    at: Moment = "end"


class Doubts(Query, frozen=True):
    """The parameters of ``doubts``. Without ``unit``: about the settings of all."""

    unit: Text | None = None
    at: Moment = "end"


class WhatIf(Query, frozen=True):
    """``at``: by default when the session last held most."""

    session: Text
    at: Moment | None = None


class Live(Query, frozen=True):
    after: Seq = 0
