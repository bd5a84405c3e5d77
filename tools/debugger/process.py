"""The debugger as a process of its own, beside a recording."""

from ezmsg.ledger.runtime.recorder.followers import Follower
from ezmsg.ledger.tools.debugger.server import require


def debugger() -> Follower:
    """The debugger of a ledger that is being recorded: recording never waits for a browser.

    It prints its address to stderr. Raises CannotServe when the extra is not installed.
    """
    require()
    return Follower(
        name="the debugger",
        module="ezmsg.ledger.tools.cli",
        arguments=("debug", "--until-closed"),
        without="ezmsg-ledger debug opens it again",
    )
