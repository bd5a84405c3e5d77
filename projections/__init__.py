"""The meaning: folds of a ledger's events into graph state, ownership, feeds and differences."""

from ezmsg.ledger.projections.feeds import feed
from ezmsg.ledger.projections.graph.dag import DAG
from ezmsg.ledger.projections.graph.diff import Change, Diff, diff
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.lifetimes.lifetimes import Lifetimes
from ezmsg.ledger.projections.projection import Projection, fold
from ezmsg.ledger.projections.questions.moments import Moment
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
