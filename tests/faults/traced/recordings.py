"""Recordings of real programs under ``strace``: the disk before, every call, and the disk after."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ezmsg.ledger.events import Mark
from ezmsg.ledger.log import Ledger

from . import strace
from .kernel import ROOT

PROGRAMS = Path(__file__).parent / "programs"


@dataclass
class Recording:
    """One run of a program. ``before`` and ``after`` are the files of ``folder``, as a tree names them.

    ``whole``: ``x.ledger`` is made in one go, there whole or not at all, and what was there before stays as it is.
    """

    name: str
    folder: Path
    before: dict[str, bytes]
    after: dict[str, bytes]
    trace: list[strace.Moment]
    whole: bool


@dataclass(frozen=True)
class Plan:
    """What is to be recorded: a program of ``programs/``, its arguments after the folder, and the disk before it."""

    name: str
    program: str
    arguments: tuple[object, ...] = ()
    prepare: Callable[[Path], object] = lambda folder: None
    whole: bool = False

    def record(self, place: Path) -> Recording:
        """Run it in an empty folder. Raises CalledProcessError when it fails."""
        folder = place / "disk"
        folder.mkdir(parents=True)
        self.prepare(folder)
        before = _contents(folder)
        strace.run(PROGRAMS / f"{self.program}.py", place / "trace", folder, *self.arguments)
        trace = strace.moments(place / "trace")
        return Recording(self.name, folder, before, _contents(folder), trace, self.whole)


def _contents(folder: Path) -> dict[str, bytes]:
    """The files, and the empty folders, whose names end in ``/``."""
    found = {}
    for path in folder.rglob("*"):
        name = f"{ROOT}/{path.relative_to(folder)}"
        if path.is_file():
            found[name] = path.read_bytes()
        elif not any(path.iterdir()):
            found[f"{name}/"] = b""
    return found


def _some(path: Path) -> bytes:
    with Ledger.open(path, durability="none") as ledger:
        for size in (1, 700, 1, 2_000):
            ledger.append([Mark(name="x" * size), Mark(name="y")])
    path.with_name(f"{path.name}.lock").unlink()
    return path.read_bytes()


def _torn(folder: Path) -> None:
    """A ledger of a writer that was killed in its last append."""
    path = folder / "x.ledger"
    data = _some(path)
    path.write_bytes(data[: data.rindex(b'{"type":"mark"') + 900])


def _damaged(folder: Path) -> None:
    """A ledger in which a letter that had reached the disk is another one."""
    path = folder / "damaged.ledger"
    data = bytearray(_some(path))
    data[data.index(b"xxx") + 1] ^= 1
    path.write_bytes(data)


def share() -> list[Plan]:
    """A few seconds' worth of it."""
    return [
        Plan("library, commit", "library", ("commit", 2, 1)),
        Plan("recovery of a torn end", "recovery", ("interval",), _torn),
        Plan("repair", "repair", (), _damaged, whole=True),
    ]


APPENDS = {"none": 5, "interval": 12, "commit": 20}
"""Of each of two threads. What no sync has covered has the more sets of survivors the more of it there is."""


def plans() -> list[Plan]:
    """All of it: some minutes of two cores."""
    return [
        *(Plan(f"library, {level}, seed {seed}", "library", (level, appends, seed))
          for seed in (1, 2) for level, appends in APPENDS.items()),
        *(Plan(f"rotation, {level}, seed {seed}", "rotation", (level, 9, seed))
          for seed in (1, 2) for level in ("interval", "commit")),
        *(Plan(f"server, {level}", "server", (level, 12)) for level in ("interval", "commit")),
        *(Plan(f"recovery of a torn end, {level}", "recovery", (level,), _torn) for level in APPENDS),
        Plan("repair", "repair", (), _damaged, whole=True),
    ]  # fmt: skip
