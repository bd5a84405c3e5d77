"""The ledger that a recording makes where none was named."""

import itertools
import os
import time
from contextlib import suppress
from pathlib import Path


def unnamed(stem: str, *, folder: bool = False) -> Path:
    """A file (or folder) of this folder to record to when none was named: ``STEM-YYYYmmdd-HHMMSS.ledger``, or one
    numbered beside it, since what was recorded in the same second is another recording.

    It is made, empty, at once: recordings that begin together never get the same one. See ``give_back``.
    """
    path = Path(f"{stem}-{time.strftime('%Y%m%d-%H%M%S')}.ledger")
    numbers = itertools.count(2)
    unused = path
    while True:
        try:
            if folder:
                unused.mkdir()
            else:
                os.close(os.open(unused, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            unused = path.with_stem(f"{path.stem}-{next(numbers)}")
            continue
        except OSError:  # to record there will fail, and say why
            pass
        return unused


def give_back(path: Path) -> None:
    """Remove what ``unnamed`` has made, if nothing was recorded there."""
    with suppress(OSError):
        if path.is_dir():
            path.rmdir()  # which only an empty one lets be done
        elif path.stat().st_size == 0:
            path.unlink()
