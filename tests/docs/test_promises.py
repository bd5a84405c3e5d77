"""docs/PROMISES.md: every test that it names is there."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "PROMISES.md").read_text(encoding="utf-8")


def functions_in(path: Path) -> set[str]:
    return {
        node.name for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.FunctionDef)
    }


def test_every_promise_names_tests_that_exist() -> None:
    sections = re.split(r"^## (?=P\d+\. )", PAGE, flags=re.MULTILINE)[1:]
    assert [section.partition(".")[0] for section in sections] == [f"P{number}" for number in range(1, 11)]
    for section in sections:
        section = section.partition("## What was tried")[0]
        path, named = None, 0
        for file, test in re.findall(r"`(tests/[\w/]+\.py)`|`(test_\w+)[^`]*`", section):
            if file:
                path = ROOT / file
                assert path.is_file(), file
            else:
                assert path is not None, f"{test}: of what file?"
                assert test in functions_in(path), f"{path.name} has no {test}"
            named += 1
        assert named, section.partition("\n")[0]
