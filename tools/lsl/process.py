"""The marker stream as a process of its own, beside a recording."""

from ezmsg.ledger.runtime.recorder.followers import Follower
from ezmsg.ledger.tools.exits import MissingExtra
from ezmsg.ledger.tools.lsl.library import require_pylsl


def marker_stream() -> Follower:
    """The marker stream of a ledger that is being recorded. Raises MissingExtra when the extra is not installed."""
    require_pylsl(MissingExtra)
    return Follower(
        name="the LSL marker stream",
        module="ezmsg.ledger.tools.lsl.marker_stream",
        without="its markers are not sent any more",
        nice=5,
    )
