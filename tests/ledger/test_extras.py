"""What is missing is asked for as the program itself was installed."""

import importlib.metadata
import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger.errors import LedgerError
from ezmsg.ledger.extras import install_command, needed


class Distribution:
    """A distribution that pip noted this origin of."""

    def __init__(self, origin: dict[str, Any] | None) -> None:
        self.origin = origin

    def read_text(self, name: str) -> str | None:
        assert name == "direct_url.json"
        return None if self.origin is None else json.dumps(self.origin)


@pytest.mark.parametrize(
    ("origin", "command"),
    [
        (None, ["ezmsg-ledger[sign]"]),
        ({"url": "file://{there}", "dir_info": {"editable": True}}, ["-e", "{there}[sign]"]),
        ({"url": "file://{there}", "dir_info": {}}, ["{there}[sign]"]),
        ({"url": "file://{there}/a%20b.whl", "archive_info": {}}, ["{there}/a b.whl[sign]"]),
        ({"url": "file://{there}/gone.whl", "archive_info": {}}, ["ezmsg-ledger[sign]"]),
        ({"url": "https://example.org/x.whl", "archive_info": {}}, ["ezmsg-ledger[sign] @ https://example.org/x.whl"]),
        (
            {"url": "https://example.org/x.git", "vcs_info": {"vcs": "git", "commit_id": "0"}},
            ["ezmsg-ledger[sign] @ git+https://example.org/x.git"],
        ),
    ],
    ids=["index", "editable", "folder", "wheel", "wheel that is gone", "url", "git"],
)
def test_an_extra_comes_from_where_the_program_came_from(
    origin: Any, command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a b.whl").touch()
    if origin is not None:
        origin = {**origin, "url": origin["url"].replace("{there}", str(tmp_path))}
    monkeypatch.setattr(importlib.metadata, "distributions", lambda name: [Distribution(None), Distribution(origin)])
    said = shlex.split(install_command("ezmsg-ledger[sign]"))
    assert said == ["pip", "install", *(word.replace("{there}", str(tmp_path)) for word in command)]
    assert install_command("networkx") == "pip install networkx"


def test_a_module_that_is_not_there_is_asked_for() -> None:
    with pytest.raises(LedgerError, match="A thing needs not_there, which is not installed") as caught:
        needed("not_there.inner", "not-there", "A thing", LedgerError)
    assert caught.value.hint == "Install it: pip install not-there"
