"""docs/ARCHITECTURE.md: every folder of the rooms has its sentence, and every path that is named is there.

And no folder is so full that its sentence could not be held in mind with all that is in it.
"""

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("ledger", "projections", "runtime", "tools")
PAGE = (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
FILES_MAX = 18
"""Files of one folder, without its ``__init__.py``: sixteen or so."""
TABLE = PAGE.partition("\n## ")[0]
PATH = re.compile(rf"(?:{'|'.join(ROOMS)}|tests)/[\w/]*(?:\.py)?")


def folders() -> list[str]:
    """The rooms, and every package right below one or right below `runtime/server`."""
    rooms = [ROOT / room for room in ROOMS]
    wings = [path for place in (*rooms, ROOT / "runtime" / "server") for path in sorted(place.iterdir())]
    found = [path for path in (*rooms, *wings) if (path / "__init__.py").exists()]
    return [f"{path.relative_to(ROOT).as_posix()}/" for path in found]


@pytest.mark.parametrize("folder", folders())
def test_every_folder_has_its_sentence(folder: str) -> None:
    assert f"`{folder}`" in TABLE


@pytest.mark.parametrize("path", sorted(set(PATH.findall(PAGE))))
def test_every_path_that_is_named_is_there(path: str) -> None:
    assert (ROOT / path).exists()


def test_no_folder_is_too_full() -> None:
    files = [
        path.relative_to(ROOT)
        for folder in (*ROOMS, "benchmarks", "docs", "tests")
        for pattern in ("*.py", "*.md")
        for path in (ROOT / folder).rglob(pattern)
        if "node_modules" not in path.parts and path.name != "__init__.py"
    ]
    counts = Counter(path.parent.as_posix() for path in files)
    assert counts["ledger"] > 1, "nothing was counted"
    assert {folder: count for folder, count in counts.items() if count > FILES_MAX} == {}


def test_it_is_one_page() -> None:
    assert len(PAGE.splitlines()) <= 100
    [picture] = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
    assert max(map(len, picture.splitlines())) <= 100
