"""The files of a release: built from a clean copy, and each of them installed and tried as a user would.

``python tests/packaging/distribution.py FOLDER`` leaves the sdist and the wheel in the folder when all of it went well,
and prints their SHA-256; else nothing is changed there.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = shutil.ignore_patterns(".*", "build", "dist", "__pycache__", "node_modules", "*.egg-info", "*.ledger")
SECONDS_MAX = 600
ANSWERS = (["--version"], ["verify", "demo.ledger"], ["log", "demo.ledger", "-n", "3"])


def run(*command: str | Path, cwd: Path) -> str:
    """Run to the end; returns what was printed. Exits, with all of it, when that failed."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "EZMSG"))}
    done = subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, timeout=SECONDS_MAX)
    if done.returncode != 0:
        sys.exit(f"exit code {done.returncode}: {' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def build(folder: Path) -> Iterator[Path]:
    """The sdist, and the wheel that is made of it."""
    copy = folder / "source"
    shutil.copytree(ROOT, copy, ignore=LEFT_OUT, symlinks=True)
    run(sys.executable, "-m", "build", "--outdir", folder / "built", copy, cwd=folder)
    yield from sorted((folder / "built").iterdir())


def tried(product: Path, folder: Path) -> str:
    """Install one of them in an environment of its own, record the demonstration there, and look at it."""
    home = folder / product.name.replace(".", "-")
    run(sys.executable, "-m", "venv", home, cwd=folder)
    scripts = home / ("Scripts" if sys.platform == "win32" else "bin")
    run(scripts / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", product, cwd=folder)
    place = folder / f"work-{home.name}"
    place.mkdir()
    command = scripts / "ezmsg-ledger"
    run(command, "demo", "demo.ledger", cwd=place)
    told = [run(command, *words, cwd=place) for words in ANSWERS]
    return told[0].strip()


def main(target: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="ezmsg-ledger-") as name:
        folder = Path(name)
        products = list(build(folder))
        for product in products:
            print(f"{product.name}: {tried(product, folder)}", flush=True)
        target.mkdir(exist_ok=True)
        for product in products:
            digest = hashlib.sha256(product.read_bytes()).hexdigest()
            shutil.copy2(product, target)
            print(f"{digest}  {target / product.name}")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
