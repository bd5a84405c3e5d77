"""One direction only: tools -> runtime -> projections -> ledger, and a core that loads without ezmsg."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT_PACKAGE = "ezmsg.ledger"

# Lowest first: a room may import from itself and from those before it.
ORDER = ("ledger", "projections", "runtime", "tools")

# The rooms that load on an analyst's laptop, and all that they may need there beside the standard library.
CORE_ROOMS = ("ledger", "projections")
CORE_NEEDS = frozenset({"msgspec", "sortedcontainers"})

# None of these may be loaded by the core, not even by way of something else that it imports.
NOT_IN_THE_CORE = frozenset(
    {
        *("aiohttp", "asyncio", "click", "ezmsg.core", "numpy", "rich"),
        *("starlette", "typer", "uvicorn", "websockets", "zstandard"),
    }
)


@pytest.fixture(scope="module")
def imports(sources: dict[str, bytes], modules: dict[str, str]) -> dict[str, list[tuple[int, str]]]:
    """Module -> (line, imported name) for every import in it, wherever it stands."""
    return {
        module: list(imported_names(sources[source], module, is_package=source.endswith("/__init__.py")))
        for module, source in modules.items()
    }


def test_no_room_imports_from_one_above_it(imports: dict[str, list[tuple[int, str]]], modules: dict[str, str]) -> None:
    upward = [
        f"{modules[module]}:{line} imports {name}"
        for module, found in imports.items()
        for line, name in found
        if is_upward(module, name)
    ]
    assert upward == []


def test_the_core_needs_only_its_two_libraries(
    imports: dict[str, list[tuple[int, str]]], modules: dict[str, str]
) -> None:
    foreign = [
        f"{modules[module]}:{line} imports {name}"
        for module, found in imports.items()
        if room_of(module) in CORE_ROOMS
        for line, name in found
        if room_of(name) is None and is_foreign_to_the_core(name)
    ]
    assert foreign == []


def test_the_core_loads_neither_ezmsg_nor_a_server_nor_a_command_line(modules: dict[str, str], tmp_path: Path) -> None:
    core = sorted(module for module in modules if room_of(module) in CORE_ROOMS)
    assert {ROOT_PACKAGE, f"{ROOT_PACKAGE}.projections"} <= set(core)
    loaded = modules_loaded_by(core, tmp_path)
    assert set(core) <= loaded
    assert sorted(loaded & NOT_IN_THE_CORE) == []


def test_nothing_in_the_ledger_room_hides_another_room(sources: dict[str, bytes]) -> None:
    """``ledger/tools.py`` and ``tools/__init__.py`` would both be ``ezmsg.ledger.tools``."""
    inside = [source for source in sources if source.startswith("ledger/")]
    hiding = [source for source in inside if source.split("/")[1].removesuffix(".py") in ORDER[1:]]
    assert inside
    assert hiding == []


def test_a_loaded_module_is_noticed(tmp_path: Path) -> None:
    assert "asyncio" in modules_loaded_by(["asyncio"], tmp_path)


@pytest.mark.parametrize(
    ("module", "code"),
    [
        ("ezmsg.ledger.log", "from ezmsg.ledger.projections import GraphState"),
        ("ezmsg.ledger.log", "from ezmsg.ledger import projections"),
        ("ezmsg.ledger.log", "from .runtime import LiveGraph"),
        ("ezmsg.ledger.log", "from . import tools"),
        ("ezmsg.ledger.projections.state", "import ezmsg.ledger.runtime.server as server"),
        ("ezmsg.ledger.projections.state", "from ..runtime import LiveGraph"),
        ("ezmsg.ledger.projections.state", "from .. import tools"),
        ("ezmsg.ledger.projections.deep.er", "from ...tools.cli import main"),
        ("ezmsg.ledger.runtime.live", "def later():\n    from ezmsg.ledger.tools import cli"),
        ("ezmsg.ledger.runtime.live", "if TYPE_CHECKING:\n    from ..tools.cli import App"),
        ("ezmsg.ledger.runtime.live", "importlib.import_module('ezmsg.ledger.tools.cli')"),
        ("ezmsg.ledger.runtime.live", "import_module('..tools.cli', __package__)"),
    ],
)
def test_an_upward_import_is_found_however_it_is_written(module: str, code: str) -> None:
    found = [name for _, name in imported_names(code.encode(), module, is_package=False)]
    assert any(is_upward(module, name) for name in found), found


@pytest.mark.parametrize(
    ("module", "code"),
    [
        ("ezmsg.ledger.projections.state", "from ..events import Event"),
        ("ezmsg.ledger.projections.state", "from .. import events"),
        ("ezmsg.ledger.tools.cli", "from ezmsg.ledger.runtime import live"),
        ("ezmsg.ledger.runtime.live", "from . import server"),
    ],
)
def test_a_downward_import_is_allowed(module: str, code: str) -> None:
    found = [name for _, name in imported_names(code.encode(), module, is_package=False)]
    assert found
    assert not any(is_upward(module, name) for name in found), found


def test_a_relative_import_in_a_package_starts_at_the_package_itself() -> None:
    found = imported_names(b"from .live import LiveGraph", "ezmsg.ledger.runtime", is_package=True)
    assert [name for _, name in found] == ["ezmsg.ledger.runtime.live", "ezmsg.ledger.runtime.live.LiveGraph"]


@pytest.mark.parametrize("name", ["ezmsg.core", "ezmsg.core.dag", "ezmsg.util.messages", "numpy", "click.core"])
def test_a_foreign_library_is_found(name: str) -> None:
    assert room_of(name) is None
    assert is_foreign_to_the_core(name)


def test_ruff_refuses_the_bare_names_of_the_rooms(root: Path) -> None:
    bad = [line for room in ORDER for line in (f"import {room}", f"from {room}.x import y", f"import {room}.x as z")]
    good = [f"from {ROOT_PACKAGE}.{room}.x import y" for room in ORDER]
    refused = lines_refused_by_ruff("\n".join([*bad, *good]) + "\n", root)
    assert refused == list(range(1, len(bad) + 1))


# --- how it is found out ---------------------------------------------------------------------------------------------


def room_of(name: str) -> str | None:
    """The room that a dotted name belongs to; None outside the project."""
    if name != ROOT_PACKAGE and not name.startswith(f"{ROOT_PACKAGE}."):
        return None
    first = name.removeprefix(ROOT_PACKAGE).removeprefix(".").partition(".")[0]
    return first if first in ORDER else "ledger"


def is_upward(module: str, name: str) -> bool:
    """Whether an import of ``name`` in ``module`` goes against the one direction."""
    here, there = room_of(module), room_of(name)
    return here is not None and there is not None and ORDER.index(there) > ORDER.index(here)


def is_foreign_to_the_core(name: str) -> bool:
    """Whether a name outside the project is neither in the standard library nor one of the two libraries."""
    top = name.partition(".")[0]
    return top not in CORE_NEEDS and top not in sys.stdlib_module_names


def imported_names(code: bytes, module: str, *, is_package: bool) -> Iterator[tuple[int, str]]:
    """Yield (line, absolute dotted name) for every import in ``code``, in functions and under TYPE_CHECKING too.

    ``from a import b`` gives both ``a`` and ``a.b``: whether b is a module or a name in one cannot be seen here,
    and a room must not be reached either way.
    """
    package = module if is_package else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = absolute("." * node.level + (node.module or ""), package)
            yield node.lineno, base
            for alias in node.names:
                yield node.lineno, f"{base}.{alias.name}"
        elif isinstance(node, ast.Call) and is_import_call(node):
            argument = node.args[0]
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                yield node.lineno, absolute(argument.value, package)


def is_import_call(node: ast.Call) -> bool:
    """Whether it is ``__import__("x")`` or ``import_module("x")``, bare or as an attribute."""
    called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", None)
    return called in ("__import__", "import_module") and bool(node.args)


def absolute(name: str, package: str) -> str:
    """Resolve the leading dots of ``name`` as Python does inside ``package``."""
    relative = name.lstrip(".")
    level = len(name) - len(relative)
    if level == 0:
        return name
    parts = package.split(".")
    return ".".join([*parts[: len(parts) - level + 1], *filter(None, [relative])])


def modules_loaded_by(names: list[str], cwd: Path) -> set[str]:
    """Import ``names`` in a fresh interpreter and return all that is in its ``sys.modules`` then."""
    code = (
        "import importlib, json, sys\n"
        "for name in sys.argv[1:]: importlib.import_module(name)\n"
        "print(json.dumps(list(sys.modules)))"
    )
    command = [sys.executable, "-I", "-c", code, *names]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


def lines_refused_by_ruff(code: str, root: Path) -> list[int]:
    """The numbers of the lines in which ruff, with the project's settings, finds a banned import."""
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format=json"]
    where = ["--stdin-filename", str(root / "tools" / "snippet.py"), "-"]
    done = subprocess.run([*command, *where], cwd=root, input=code, capture_output=True, text=True, timeout=60)
    assert done.returncode in (0, 1), done.stderr
    return sorted({found["location"]["row"] for found in json.loads(done.stdout) if found["code"] == "TID251"})
