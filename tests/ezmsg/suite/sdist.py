"""ezmsg's source distribution: fetched once, checked by hash, its tests unpacked where a run wants them."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path, PurePosixPath

# sha256 of the sdist of each ezmsg release whose suite is run.
SDISTS = {"3.9.0": "e7ec1e56b555e811e732c143d631b09d3234dc62351b390a9fbd7a2fbe42929f"}

CACHE = Path(__file__).resolve().parents[3] / ".cache" / "ezmsg-suite"

FETCH_SECONDS_MAX = 120  # pip also builds the package's metadata, for which it installs the build backend


def installed() -> tuple[str, str]:
    """Version of the installed ezmsg and the sha256 of its sdist.

    Raises LookupError when no hash is known for it.
    """
    release = version("ezmsg")
    if release not in SDISTS:
        raise LookupError(
            f"the installed ezmsg is {release}, but the suites with a known hash are {', '.join(SDISTS)}: "
            f"install one of these, or add {release} to SDISTS in {__file__}"
        )
    return release, SDISTS[release]


def fetch(release: str, sha256: str) -> Path:
    """Path of the sdist in the cache, downloaded with pip when it is not there.

    Raises RuntimeError when it cannot be had or is not the file that the hash names.
    """
    archive = CACHE / f"ezmsg-{release}.tar.gz"
    if not archive.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        needs = CACHE / f"ezmsg-{release}.txt"
        needs.write_text(f"ezmsg=={release} --hash=sha256:{sha256}\n")
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", ":all:"]
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
