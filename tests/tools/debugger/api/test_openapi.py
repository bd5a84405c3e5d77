"""The files made of the Structs are those in the repository, and the API holds what they say."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from ezmsg.ledger.tools.debugger.api import openapi

ROOT = Path(__file__).parents[4]
WEB = ROOT / "tools" / "debugger" / "web"

EXAMPLES = 25

ADDRESSES = sorted(openapi.document()["paths"])


def test_the_files_are_up_to_date() -> None:
    """`make page` writes them."""
    file = ROOT / "docs" / "debugger" / "openapi.json"
    assert json.loads(file.read_bytes()) == json.loads(json.dumps(openapi.document()))
    assert (WEB / "src" / "server" / "shapes.ts").read_text(encoding="utf-8") == openapi.typescript()


def test_every_address_is_documented() -> None:
    text = (ROOT / "docs" / "debugger" / "API.md").read_text(encoding="utf-8")
    for path, item in openapi.document()["paths"].items():
        assert f"`{path.removeprefix('/')}" in text, path
        for parameter in item["get"]["parameters"]:
            assert f"`{parameter['name']}`" in text, parameter["name"]


@pytest.mark.parametrize("path", [path for path in ADDRESSES if path != "/live"])
def test_whatever_the_file_allows_is_answered_as_it_says(debug: Callable[..., Any], night: Any, path: str) -> None:
    debugger = debug(night.path)
    schema = schemathesis.openapi.from_dict(openapi.document())
    operation = schema[path]["GET"]
    headers = {"Authorization": f"Bearer {debugger.server.token}"}

    @settings(
        max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy())
    def check(case: Any) -> None:
        answer = case.call(base_url=f"{debugger.origin}/api/v1", headers=headers)
        assert answer.status_code < 500
        assert b"Traceback" not in answer.content
        case.validate_response(
            answer,
            checks=[
                not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance,
            ],
        )  # fmt: skip

    check()


@pytest.mark.skipif(shutil.which("npm") is None, reason="the bundle is built with Node.js, which is not here")
def test_the_bundle_is_what_the_sources_give(tmp_path: Path) -> None:
    copy = tmp_path / "web"
    shutil.copytree(WEB, copy, ignore=shutil.ignore_patterns("node_modules"))
    for command in (
        ["npm", "ci", "--ignore-scripts", "--silent"],
        ["node", "node_modules/esbuild/install.js"],
        ["npm", "run", "--silent", "types"],
        ["node", "build.mjs", str(tmp_path / "page")],
    ):
        done = subprocess.run(command, cwd=copy, capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done.stdout + done.stderr
    committed = ROOT / "tools" / "debugger" / "page"
    built = {path.name: path.read_bytes() for path in (tmp_path / "page").iterdir()}
    assert {path.name: path.read_bytes() for path in committed.iterdir()} == built


def test_the_lock_file_names_no_host() -> None:
    text = (WEB / "package-lock.json").read_text(encoding="utf-8")
    assert "resolved" not in text
    assert "://" not in text.replace("https://opencollective.com", "").replace("https://github.com", "")
