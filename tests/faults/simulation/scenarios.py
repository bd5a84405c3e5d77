"""Long histories with faults and power cuts, made from a seed: the same seed gives the same scenario every time."""

import random
from importlib.util import find_spec
from typing import Literal

import msgspec

from ezmsg.ledger.storage.durability import Durability

from .faults import ERRORS, Fault


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that is done or happens; ``events`` and ``size`` (bytes of each) are those of an append."""

    what: Literal["append", "sync", "read", "rotate", "compress", "drop", "close", "kill", "power cut"]
    events: int = 1
    size: int = 8
    fault: Fault | None = None


class Scenario(msgspec.Struct, frozen=True):
    """A story. ``dice``: what survives the power cuts; ``write_most``: bytes that one write takes; ``evict``: whether
    reading shows, after a failed sync, what the disk has."""

    level: Durability
    steps: tuple[Step, ...]
    dice: int = 0
    write_most: int | None = None
    evict: bool = False

    def __str__(self) -> str:
        return msgspec.json.encode(self).decode()


SEALED: tuple[str, ...] = ("drop",) if find_spec("zstandard") is None else ("compress", "drop")
"""What is done to sealed segments. Without the library none is compressed, and a seed tells another story."""


def scenario_of(seed: int) -> Scenario:
    """The story of a seed: up to 14 steps, half of them with a fault."""
    dice = random.Random(seed)
    kinds = (*("append",) * 4, "sync", "read", *("rotate",) * 3, *SEALED, "close", "kill", "power cut")
    return Scenario(
        level=dice.choice(("none", "interval", "commit", "commit")),
        steps=tuple(
            Step(
                what=dice.choice(kinds),  # type: ignore[arg-type]
                events=dice.choice((1, 1, 2, 7)),
                size=dice.choice((1, 8, 300, 700, 5000)),
                fault=_fault(dice) if dice.random() < 0.5 else None,
            )
            for _ in range(dice.randint(3, 14))
        ),
        dice=seed,
        write_most=dice.choice((None, None, 100, 1000)),
        evict=dice.random() < 0.5,
    )


def _fault(dice: random.Random) -> Fault:
    call = dice.choice((*ERRORS, "write", "sync", "sync", "truncate"))
    return Fault(call, dice.choice((1, 1, 1, 2, 3)), dice.choice(ERRORS[call]), dice.choice((1, 1, 2, 3)))
