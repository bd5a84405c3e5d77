"""Recordings of samples (NWB, XDF, FIF) beside a ledger: which settings and wiring made them."""

from ezmsg.ledger.tools.recordings.annotation import annotate, verify_tables
from ezmsg.ledger.tools.recordings.stretch import in_force

__all__ = ["annotate", "in_force", "verify_tables"]
