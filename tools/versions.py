"""The versions that this program is of, reads and writes: what ``ezmsg-ledger --version --json`` says."""

from importlib.metadata import PackageNotFoundError, version
from platform import python_version
from typing import Any

from ezmsg.ledger import __version__
from ezmsg.ledger.events import RULES
from ezmsg.ledger.projections.lifetimes.index import VERSION as INDEX
from ezmsg.ledger.projections.questions.baselines.baseline import VERSION as BASELINE
from ezmsg.ledger.structural import FORMAT, SEGMENT_FORMAT


def versions() -> dict[str, Any]:
    """The versions, by what they are of. Of ``format``, ``rules`` and ``baseline`` all up to the number are read.

    ``formats``: those that are written, of a file that begins a history and of one that goes on with it.

    >>> sorted(versions())
    ['baseline', 'ezmsg', 'format', 'formats', 'index', 'python', 'rules', 'version']
    """
    try:
        ezmsg = version("ezmsg")
    except PackageNotFoundError:
        ezmsg = None
    return {
        "version": __version__,
        "format": SEGMENT_FORMAT,
        "formats": [FORMAT, SEGMENT_FORMAT],
        "rules": RULES,
        "index": INDEX,
        "baseline": BASELINE,
        "ezmsg": ezmsg,
        "python": python_version(),
    }
