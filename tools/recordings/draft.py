"""Files that are written beside their places, and take these only when they are whole and on the disk.

The idea: a folder with a hidden name, next to the place. What is in it when the writer is done is synced, and gets its
name; what ends before that takes the folder with it. A format that splits what is large finds room there as well.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ezmsg.ledger.storage.disk import Disk
from ezmsg.ledger.tools.exits import Misuse


@contextmanager
def drafted(out: Path) -> Iterator[Path]:
    """The path at which to write what is to be at ``out``, of the same name; other files may be written next to it.

    They are moved when the block ends without an error, the one at ``out`` last. Raises Misuse when a name is taken:
    nothing is written over.
    """
    disk = Disk()
    folder = out.with_name(f".{out.name}.{os.getpid()}")
    folder.mkdir()
    placed: list[Path] = []
    try:
        yield folder / out.name
        files = sorted(folder.iterdir(), key=lambda each: each.name == out.name)
        for file in files:
            _sync(disk, file)
        for file in files:
            target = out.with_name(file.name)
            try:
                disk.link(str(file), str(target))
            except FileExistsError as error:
                raise taken(target) from error
            placed.append(target)
        disk.sync_folder(str(out.absolute().parent))
    except BaseException:
        for file in placed:
            with suppress(FileNotFoundError):
                file.unlink()
        raise
    finally:
        shutil.rmtree(folder)


def taken(out: Path) -> Misuse:
    """The refusal of a place where something is."""
    return Misuse(f"{out} exists", hint="Nothing is written over. Name another file.")


def _sync(disk: Disk, path: Path) -> None:
    handle = disk.open(str(path), write=True)
    try:
        disk.sync(handle)
    finally:
        disk.close(handle)
