"""A state, or the events themselves, in the formats of other programs; one module per format."""

from ezmsg.ledger.tools.export.history_tables import Tables, to_arrow
from ezmsg.ledger.tools.export.networkx import to_networkx

__all__ = ["Tables", "to_arrow", "to_networkx"]
