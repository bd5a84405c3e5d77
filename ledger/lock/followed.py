"""The end of a recording, as a program learns it that follows one."""

import os
import sys
import threading
import time

from ezmsg.ledger.lock.lock import is_written
from ezmsg.ledger.storage.disk import OS_DISK

OVER = b"over\n"
"""The last word to a follower, on its standard input, when the recording has ended."""

LOOK_S = 0.5
"""How often it is looked whether somebody still records, once the program that started a follower is gone."""


def wait_for_end(location: str) -> None:
    """Return when the recording to ``location`` is over, which the program that started this process says.

    Where that was killed and said nothing, a recorder of its own may go on: then it returns when nobody writes the
    ledger any more. Reads standard input.
    """
    said = b""
    while piece := os.read(sys.stdin.fileno(), 1024):
        said = piece
    path = os.path.realpath(location)
    while not said.endswith(OVER) and is_written(OS_DISK, path, path):
        time.sleep(LOOK_S)


def set_at_end(ended: threading.Event, location: str) -> None:
    """Set ``ended``, from a thread of its own, when the recording to ``location`` is over: see ``wait_for_end``."""

    def wait() -> None:
        wait_for_end(location)
        ended.set()

    threading.Thread(target=wait, name="end of the recording", daemon=True).start()
