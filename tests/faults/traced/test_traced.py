"""Crash images from the calls of real programs: a share of them; all of them by ``python -m tests.faults``."""

from dataclasses import replace
from pathlib import Path

import pytest

from ezmsg.ledger.tools.selftest.broken import Broken
from ezmsg.ledger.tools.selftest.effort import Effort
from tests.faults.simulation.survivors import images
from tests.faults.test_mutants import MUTANTS, mutated

from . import strace
from .explorer import Explorer, explore
from .kernel import ROOT, Kernel, replay
from .recordings import Plan, Recording, share
from .strace import Moment

pytestmark = pytest.mark.skipif(bool(strace.missing()), reason=f"nothing can be traced: {strace.missing()}")


@pytest.mark.parametrize("plan", share(), ids=lambda plan: plan.name)
def test_a_share(plan: Plan, tmp_path: Path) -> None:
    effort = Effort()
    explore(effort, tmp_path, plan)
    assert effort.figures["acknowledgements"] > 0
    assert effort.figures["crash points"] > 10
    assert effort.figures["distinct images"] > 20


# --- the explorer notices what is wrong ---


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return Plan("library, commit", "library", ("commit", 1, 1)).record(tmp_path_factory.mktemp("recorded"))


@pytest.fixture(scope="module")
def recorded_large(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """One of its appends goes over several sectors."""
    return Plan("library, commit", "library", ("commit", 1, 28)).record(tmp_path_factory.mktemp("large"))


def explored(recording: Recording, folder: Path) -> None:
    Explorer(recording, Effort(), folder / "image").explore()


def without(recording: Recording, name: str, after: int = 0) -> Recording:
    """The recording of a program that does not make these calls, ``after`` so many of them."""
    calls = [moment.call for moment in recording.trace if moment.what == "begin" and moment.call.name == name]
    assert len(calls) > after
    left_out = {id(call) for call in calls[after:]}
    return replace(recording, trace=[moment for moment in recording.trace if id(moment.call) not in left_out])


def test_a_new_ledger_that_is_not_synced(recorded: Recording, tmp_path: Path) -> None:
    with pytest.raises(Broken, match="what it left cannot be used: NotALedger"):
        explored(without(recorded, "fdatasync"), tmp_path)


def test_appends_that_are_not_synced(recorded: Recording, tmp_path: Path) -> None:
    with pytest.raises(Broken, match="were acknowledged"):
        explored(without(recorded, "fdatasync", after=1), tmp_path)


def test_a_name_that_is_not_synced(recorded: Recording, tmp_path: Path) -> None:
    with pytest.raises(Broken, match="a ledger that was acknowledged is not there"):
        explored(without(recorded, "fsync"), tmp_path)


def test_a_program_that_is_told_too_early(recorded: Recording, tmp_path: Path) -> None:
    """What it says when it is done stands before its first append."""
    told = [moment for moment in recorded.trace if moment.call.name == "write"][-2:]
    others = [moment for moment in recorded.trace if moment not in told]
    made = next(place for place, moment in enumerate(others) if moment.call.name == "fsync")  # its name is on the disk
    early = [*others[: made + 2], *told, *others[made + 2 :]]
    with pytest.raises(Broken, match="were acknowledged"):
        explored(replace(recorded, trace=early), tmp_path)


def test_a_call_that_is_missing_in_the_trace(recorded: Recording, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="a call is missing in it"):
        explored(without(recorded, "pwrite64", after=5), tmp_path)


@pytest.mark.parametrize(
    "mutant", ["orphan bytes adopted", "no truncation at recovery", "digest unchecked when it is opened"]
)
def test_a_recovery_with_a_fault(mutant: str, recorded_large: Recording, tmp_path: Path) -> None:
    (chosen,) = (each for each in MUTANTS if each.name == mutant)
    with mutated(chosen.patches), pytest.raises(Broken):
        explored(recorded_large, tmp_path)


# --- calls that take time ---


def traced(folder: Path, text: str) -> list[Moment]:
    """A trace as it would be written, with ``/disk`` for the folder and texts as they are."""
    lines = []
    for line in text.strip().splitlines():
        parts = line.strip().replace("/disk", str(folder)).split('"')
        parts[1::2] = ("".join(f"\\x{byte:02x}" for byte in part.encode()) for part in parts[1::2])
        lines.append('"'.join(parts))
    path = folder.with_name("trace")
    path.write_text("\n".join(lines) + "\n")
    return strace.moments(path)


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    return Kernel(tmp_path / "disk", {f"{ROOT}/a": b""})


def left(kernel: Kernel) -> set[bytes]:
    """What a power cut may leave of the file, without the holes of lost sectors."""
    return {image[f"{ROOT}/a"].rstrip(b"\0") for image in images(kernel.tree, lambda name: True)}


def test_a_sync_covers_what_was_written_when_it_began(kernel: Kernel, tmp_path: Path) -> None:
    trace = traced(tmp_path / "disk", """
        1 openat(AT_FDCWD, "/disk/a", O_RDWR|O_CLOEXEC) = 3
        1 clone3({flags=CLONE_VM|CLONE_FILES|CLONE_THREAD, stack=0x7f, stack_size=0x9}, 88) = 2
        1 pwrite64(3, "one", 3, 0)  = 3
        2 fdatasync(3 <unfinished ...>
        1 pwrite64(3, "two", 3, 3)  = 3
        2 <... fdatasync resumed>)  = 0
    """)  # fmt: skip
    replay(kernel, trace)
    assert kernel.contents() == {f"{ROOT}/a": b"onetwo"}
    assert b"one" in left(kernel), "what was written while it ran may be lost"
    assert all(each.startswith(b"one") for each in left(kernel)), "what was written before it may not"


def test_a_write_that_has_not_returned_is_not_covered(kernel: Kernel, tmp_path: Path) -> None:
    trace = traced(tmp_path / "disk", """
        1 openat(AT_FDCWD, "/disk/a", O_RDWR|O_CLOEXEC) = 3
        1 vfork() = 2
        1 pwrite64(3, "one", 3, 0 <unfinished ...>
        2 fsync(3)  = 0
        1 <... pwrite64 resumed>)  = 3
    """)  # fmt: skip
    replay(kernel, trace)
    assert b"" in left(kernel)


def test_names_that_change_while_their_folder_is_synced(kernel: Kernel, tmp_path: Path) -> None:
    trace = traced(tmp_path / "disk", """
        1 openat(AT_FDCWD, "/disk", O_RDONLY|O_CLOEXEC) = 4
        1 rename("/disk/a", "/disk/b") = 0
        1 fsync(4 <unfinished ...>
        2 mkdir("/disk/f", 0700) = 0
        1 <... fsync resumed>)  = 0
        1 fsync(4) = -1 EIO (Input/output error)
    """)  # fmt: skip
    replay(kernel, trace)
    found = {tuple(sorted(image)) for image in images(kernel.tree, lambda name: True)}
    assert found == {(f"{ROOT}/b",), (f"{ROOT}/b", f"{ROOT}/f/")}
