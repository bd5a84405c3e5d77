"""The meaning: folds of a ledger's events into graph state, ownership, feeds and differences."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ezmsg.ledger.projections.feeds import feed
    from ezmsg.ledger.projections.graph.dag import DAG
    from ezmsg.ledger.projections.graph.state import GraphState
    from ezmsg.ledger.projections.graph.views.diff import Change, Diff, diff
    from ezmsg.ledger.projections.lifetimes.lifetimes import Lifetimes
    from ezmsg.ledger.projections.projection import Projection, fold
    from ezmsg.ledger.projections.questions.moments.moments import Moment
    from ezmsg.ledger.projections.questions.timeline import Timeline

__all__ = [
    "DAG",
    "Change",
    "Diff",
    "GraphState",
    "Lifetimes",
    "Moment",
    "Projection",
    "Timeline",
    "diff",
    "feed",
    "fold",
]

_HOMES = {
    "feed": "feeds",
    "DAG": "graph.dag",
    "Change": "graph.views.diff",
    "Diff": "graph.views.diff",
    "diff": "graph.views.diff",
    "GraphState": "graph.state",
    "Lifetimes": "lifetimes.lifetimes",
    "Projection": "projection",
    "fold": "projection",
    "Moment": "questions.moments.moments",
    "Timeline": "questions.timeline",
}
"""The module of each name: a program that uses one of them does not wait for the others."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return found
