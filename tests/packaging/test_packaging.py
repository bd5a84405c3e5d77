"""What a user gets: sdist -> wheel -> a clean environment, looked at from another folder.

An editable install sees every file of the checkout; only an installed wheel shows what was left out of it.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import pytest

if sys.platform != "win32":
    import fcntl

# What the build reads beside the rooms; those that exist are used.
BUILD_FILES = ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE")

# Stubs that mypy looks for beside the wheel. They cannot be imported: for imports it stays a user's environment.
STUBS = ("sortedcontainers-stubs",)

# The ezmsg that the types are checked against is the one that the tests run beside.
BESIDE = f"ezmsg=={version('ezmsg')}"

# Only a registry that hangs needs this long; a build or an install takes a few seconds.
SECONDS_MAX = 240

pytestmark = pytest.mark.timeout(4 * SECONDS_MAX)  # the first test builds and installs

IMPORT_EACH = """
import importlib, json, sys, traceback
failures = {}
for name in json.load(sys.stdin):
    try:
        module = importlib.import_module(name)
    except BaseException:
        failures[name] = traceback.format_exc(limit=-1)
    else:
        if not module.__file__.startswith(sys.prefix):
            failures[name] = f"came from {module.__file__}"
print(json.dumps(failures))
"""


class Installed(NamedTuple):
    """A wheel and the clean environment it was installed in."""

    wheel: Path
    python: Path
    command: Path


@pytest.fixture(scope="module")
def installed(root: Path, sources: dict[str, bytes]) -> Iterator[Installed]:
    """The wheel of the sources as they are, installed; kept in ``.cache/packaging`` until they change."""
    build = {name: (root / name).read_bytes() for name in BUILD_FILES if (root / name).exists()} | sources
    cache = root / ".cache" / "packaging"
    cache.mkdir(parents=True, exist_ok=True)
    with _one_run_at_a_time(cache / "lock"):
        home = cache / _key(build)
        if not (home / "complete").exists():
            for older in cache.iterdir():
                if older.is_dir():
                    shutil.rmtree(older)
            _build_and_install(build, home)
            (home / "complete").touch()
        yield _look_up(home)


@pytest.fixture(scope="module")
def wheel_names(installed: Installed) -> frozenset[str]:
    """The names of all files in the wheel."""
    with zipfile.ZipFile(installed.wheel) as wheel:
        return frozenset(wheel.namelist())


def test_the_wheel_holds_every_file_of_the_rooms_and_nothing_else(
    wheel_names: frozenset[str], installed_names: dict[str, str]
) -> None:
    shipped = {name for name in wheel_names if ".dist-info/" not in name}
    assert shipped == set(installed_names.values())


def test_the_wheel_tells_type_checkers_that_it_is_typed(wheel_names: frozenset[str]) -> None:
    assert "ezmsg/ledger/py.typed" in wheel_names


def test_the_wheel_adds_no_top_level_package_but_the_namespace(wheel_names: frozenset[str]) -> None:
    top_levels = {name.partition("/")[0] for name in wheel_names}
    assert {name for name in top_levels if not name.endswith(".dist-info")} == {"ezmsg"}
    assert "ezmsg/__init__.py" not in wheel_names, "an __init__.py there would hide ezmsg.core"


def test_every_module_on_disk_imports_from_the_wheel(
    installed: Installed, modules: dict[str, str], tmp_path: Path
) -> None:
    printed = _run(
        [installed.python, "-I", "-c", IMPORT_EACH], cwd=tmp_path, stdin=json.dumps(sorted(modules))
    ).splitlines()
    failures = json.loads(printed[-1])
    if failures:
        pytest.fail("\n".join(f"{name}: {why}" for name, why in failures.items()), pytrace=False)


def test_ezmsg_itself_still_imports_beside_it(installed: Installed, tmp_path: Path) -> None:
    code = "import ezmsg.ledger, ezmsg.core as ez; print(ez.GraphContext.__name__)"
    assert _run([installed.python, "-I", "-c", code], cwd=tmp_path) == "GraphContext\n"


def test_the_version_is_the_same_in_code_and_metadata(installed: Installed, tmp_path: Path) -> None:
    code = (
        "from importlib.metadata import version; from ezmsg.ledger._version import __version__;"
        "print(__version__, version('ezmsg-ledger'))"
    )
    in_code, in_metadata = _run([installed.python, "-I", "-c", code], cwd=tmp_path).split()
    assert in_code == in_metadata


@pytest.mark.skipif(
    not Path(__file__).parents[2].joinpath("tools/cli.py").exists(), reason="tools/cli.py is not there yet"
)
class TestCommand:
    """``ezmsg-ledger``, as pip made it, from another folder."""

    def test_tells_its_version(self, installed: Installed, tmp_path: Path) -> None:
        code = "from importlib.metadata import version; print(version('ezmsg-ledger'))"
        version = _run([installed.python, "-I", "-c", code], cwd=tmp_path).strip()
        assert version in _run([installed.command, "--version"], cwd=tmp_path)

    def test_explains_itself(self, installed: Installed, tmp_path: Path) -> None:
        assert "Usage" in _run([installed.command, "--help"], cwd=tmp_path)


def test_types_of_the_installed_wheel(
    root: Path, installed: Installed, modules: dict[str, str], tmp_path: Path
) -> None:
    """mypy cannot follow an editable install, so this is the one place where the whole package is checked."""
    settings = ("--strict", "--config-file", root / "pyproject.toml", "--cache-dir", root / ".cache" / "mypy")
    target = ("--python-executable", installed.python, "-p", "ezmsg.ledger")
    printed = _run([sys.executable, "-m", "mypy", *settings, *target], cwd=tmp_path)
    checked = re.search(r"no issues found in (\d+) source files", printed)
    assert checked, printed
    with zipfile.ZipFile(installed.wheel) as wheel:
        folders = {name.rpartition("/")[0] for name in wheel.namelist() if name.startswith("ezmsg/ledger/")}
    without_modules = {folder for folder in folders if folder.replace("/", ".") not in modules}  # mypy counts them, too
    assert int(checked[1]) == len(modules) + len(without_modules), f"mypy did not see every module: {printed}"


def _key(build: Mapping[str, bytes]) -> str:
    """One name for these sources under this Python; any change of either gives another."""
    digest = hashlib.sha256(f"{sys.version} {sys.prefix} {STUBS} {BESIDE}".encode())
    for name, content in sorted(build.items()):
        digest.update(f"\0{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:16]


def _build_and_install(build: Mapping[str, bytes], home: Path) -> None:
    """Build from a copy: a build inside the checkout would be led by what an earlier one left in ``*.egg-info``."""
    copy = home / "source"
    for name, content in build.items():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes(content)
    # Without --wheel or --sdist, `build` makes the sdist and then the wheel from that sdist, not from the folder.
    _run([sys.executable, "-m", "build", "--outdir", home / "dist", copy], cwd=home)
    # Called .venv, a name that linters and test collectors leave alone wherever it lies.
    _run([sys.executable, "-m", "venv", "--without-pip", home / ".venv"], cwd=home)
    found = _look_up(home)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", found.python)
    _run([*pip, "install", "--quiet", found.wheel, BESIDE, *STUBS], cwd=home)


def _look_up(home: Path) -> Installed:
    (wheel,) = (home / "dist").glob("*.whl")
    scripts = home / ".venv" / ("Scripts" if sys.platform == "win32" else "bin")
    suffix = ".exe" if sys.platform == "win32" else ""
    return Installed(wheel, scripts / f"python{suffix}", scripts / f"ezmsg-ledger{suffix}")


def _run(command: Sequence[str | Path], *, cwd: Path, stdin: str = "") -> str:
    """Run to the end and return what was printed on stdout; with an exit code other than 0, fail with all of it."""
    # With the caller's PYTHONPATH or MYPYPATH the checkout would shine through.
    environ = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "MYPYPATH")}
    done = subprocess.run(
        command, cwd=cwd, env=environ, input=stdin, capture_output=True, text=True, timeout=SECONDS_MAX
    )
    if done.returncode != 0:
        line = " ".join(map(str, command))
        pytest.fail(f"exit code {done.returncode}: {line}\n{done.stdout}{done.stderr}", pytrace=False)
    return done.stdout


@contextmanager
def _one_run_at_a_time(path: Path) -> Iterator[None]:
    """Hold the cache folder: a second test run on this checkout waits instead of replacing what the first one uses."""
    with path.open("w") as lock:
        if sys.platform != "win32":
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
