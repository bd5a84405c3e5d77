"""The one seam: nothing else of the log touches the operating system's files."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from ezmsg.ledger.storage.disk import Disk

SOURCES = sorted((Path(__file__).parents[3] / "ledger").rglob("*.py"))
ALLOWED = {"os.path", "os.PathLike", "os.fsdecode", "os.fsencode", "os.getpid", "os.kill", "os.register_at_fork"}
"""What says something about names and processes; it reads and writes no file."""

ALLOWED_OF = {
    "clock.py": {"open", "os.readlink"},
    "compression.py": {"os.dup", "os.close", "tempfile"},
    "lock.py": {"open"},
    "followed.py": {"os.read"},
    "extras.py": {"os.name", "os.path.exists"},
}
"""An unpacked segment lies in a temporary file, which has no name and no promise; a lock asks /proc of a process, a
follower reads its input, which is a pipe, a clock asks the system which boot and which time namespace it is, an install
hint whether the checkout is still there."""

LOOKING = {"exists", "lexists", "isfile", "isdir", "islink", "getsize", "getmtime", "samefile", "ismount"}
"""Functions of os.path that ask the disk. ``realpath`` does, too: a name is resolved once, before there is a seam."""


MODULES = {"shutil", "pathlib", "tempfile", "fcntl", "io"}


def touches(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os":
            yield f"os.{node.attr}"
        elif isinstance(node, ast.Attribute) and node.attr in LOOKING:
            yield f"os.path.{node.attr}"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "open":
            yield "open"
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module in {"os", *MODULES}:
            yield f"from {node.module}"


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_files_are_touched_in_one_place_alone(source: Path) -> None:
    found = set(touches(ast.parse(source.read_text(encoding="utf-8"))))
    if source.name == "disk.py":
        assert {"os.open", "os.pwrite", "os.fsync", "open"} <= found, "the search finds what there is"
    else:
        assert found - ALLOWED - ALLOWED_OF.get(source.name, set()) == set()


def test_below_a_file_there_is_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert Disk().kind(str(tmp_path / "file" / "x")) is None
    assert Disk().identity_at(str(tmp_path / "file" / "x")) is None
