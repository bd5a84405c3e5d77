"""The meaning: folds of a ledger's events into graph state, ownership, feeds and differences."""

from ezmsg.ledger.projections.diff import Change, Diff, diff
from ezmsg.ledger.projections.feeds import feed
from ezmsg.ledger.projections.projection import Projection, fold
from ezmsg.ledger.projections.state import GraphState

__all__ = ["Change", "Diff", "GraphState", "Projection", "diff", "feed", "fold"]
