"""What stands in a pickle."""

from ezmsg.ledger.pickles import reading
from ezmsg.ledger.pickles.machine import Machine


def references(data: bytes) -> set[str]:
    """The names that a pickle refers to, as ``module:qualname``: what a program that loads it must have."""
    machine = Machine(data)
    reading._run(machine)
    return {reference.ref for reference in machine.globals.values()}
