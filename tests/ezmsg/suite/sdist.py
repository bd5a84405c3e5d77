"""ezmsg's source distribution: fetched once, checked by hash, its tests unpacked where a run wants them."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path, PurePosixPath
from typing import NamedTuple


class Suite(NamedTuple):
    """The tests of an ezmsg release, known by the sha256 of its sdist.

    ``hermetic``: each test starts a server for itself and its children, at a port of its own. So two runs do not meet;
    and no child starts one.
    """

    sha256: str
    hermetic: bool


SUITES = {
    "3.9.0": Suite("e7ec1e56b555e811e732c143d631b09d3234dc62351b390a9fbd7a2fbe42929f", hermetic=False),
    "3.10.0b5": Suite("c1026590c83565b28142b6630499f5289d048fe953fa2bd2759cb81da3976e3d", hermetic=True),
}

CACHE = Path(__file__).resolve().parents[3] / ".cache" / "ezmsg-suite"

FETCH_SECONDS_MAX = 120  # pip also builds the package's metadata, for which it installs the build backend


def fetch(release: str) -> Path:
    """Path of a release's sdist in the cache, downloaded with pip when it is not there.

    Raises RuntimeError when it cannot be had or is not the file that the hash names.
    """
    sha256 = SUITES[release].sha256
    archive = CACHE / f"ezmsg-{release}.tar.gz"
    if not archive.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        needs = CACHE / f"ezmsg-{release}.txt"
        needs.write_text(f"ezmsg=={release} --hash=sha256:{sha256}\n")
        # not ":all:", by which an older pip would build the build backend from source as well, and all that needs
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", "ezmsg"]
        command += ["--require-hashes", "--dest", str(CACHE), "--requirement", str(needs)]
        pip = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_SECONDS_MAX)
        if pip.returncode != 0:
            raise RuntimeError(
                f"pip could not download the sdist of ezmsg {release}: put it at {archive}, "
                f"or leave this test out with -m 'not ezmsg_suite'\n{pip.stdout}{pip.stderr}"
            )
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != sha256:
        raise RuntimeError(f"{archive} has sha256 {found} and not {sha256}: delete it and run again")
    return archive


def unpack_tests(archive: Path, into: Path) -> Path:
    """A fresh tree at `into` with the sdist's `tests` and `pyproject.toml`, and nothing else.

    Its `src` is left out: one test puts ``src`` before all else on the PYTHONPATH of its children, which would then
    import that copy and not the installed ezmsg.
    """
    shutil.rmtree(into, ignore_errors=True)
    with tarfile.open(archive) as tar:
        for member in tar:
            path = PurePosixPath(*PurePosixPath(member.name).parts[1:])
            wanted = path == PurePosixPath("pyproject.toml") or path.parts[:1] == ("tests",)
            content = tar.extractfile(member) if wanted and member.isfile() else None
            if content is not None:
                target = into / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content.read())
    return into
