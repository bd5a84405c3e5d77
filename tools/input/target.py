"""The place that a command writes a new ledger to."""

import os
from pathlib import Path

from ezmsg.ledger.errors import DamagedLedger
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.storage.compression import SUFFIX
from ezmsg.ledger.storage.file_access import NEW
from ezmsg.ledger.tools.exits import Misuse


def new_ledger(target: str | Path, source: str) -> str:
    """The absolute path of a ledger that is to be made of the one at ``source``.

    Raises Misuse when something has that name, or when a ledger there would be taken for something else.
    """
    path = os.path.realpath(os.path.expanduser(target))
    if path.endswith(SUFFIX):
        raise Misuse(f"{path} would be taken for a compressed ledger", hint=f"Name a place that has no {SUFFIX}.")
    for taken in (path, path + NEW):
        if os.path.lexists(taken):
            raise Misuse(f"{taken} exists", hint="Nothing is written over. Name another place: --output NEW")
    if os.path.isdir(source) and os.path.dirname(path) == os.path.realpath(source):
        raise Misuse(f"{path} would be among the segments of the ledger", hint="Name a place outside of that folder.")
    return path


def place_of_copy(target: str | Path, timeline: Timeline) -> str:
    """The absolute path of a ledger that is to be made of this whole one. Raises DamagedLedger, and as ``new_ledger``.

    Cost: that of the ledger's landmarks.
    """
    place = new_ledger(target, timeline.ledger.location)
    _ = timeline.landmarks  # reading them meets the damage, wherever it lies
    if (damage := timeline.damage) is not None:
        hint = "`ezmsg-ledger repair` makes a new ledger of what is sound: take that one."
        raise DamagedLedger(str(damage), offset=damage.offset, seq=damage.seq, hint=hint)
    return place
