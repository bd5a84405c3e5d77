"""What a traced program was told, written down where the trace shows it in its order."""

import json
import os
import sys

_file = os.open(os.path.join(os.path.dirname(sys.argv[1]), "acks"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def say(**words: object) -> None:
    """Write down an acknowledgement, a JSON object of ``words``.

    ``kill=SEQ``: all up to this event must be there after a kill; ``power=SEQ``: after a power cut, too. ``edge=[FROM,
    TO]``: the same of the event of an edge, after a power cut if ``lasts``. ``ended=True``: all events must be there.
    ``made=True``: the ledger must be there. ``dropping=True``: earlier segments may be gone from now on.
    """
    os.write(_file, json.dumps(words).encode() + b"\n")
