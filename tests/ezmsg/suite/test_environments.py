"""The releases of ezmsg are named in three places, for make, for the tests, and for people."""

from __future__ import annotations

import re

from .environments import COMING, ROOT, STABLE


def test_make_installs_the_releases_that_the_tests_are_about() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = dict(re.findall(r"^(EZMSG_\w+) := (\S+)$", makefile, re.MULTILINE))
    assert named == {"EZMSG_OF_VENV": COMING.ezmsg, "EZMSG_OTHER": STABLE.ezmsg}


def test_the_readme_names_what_is_run() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"| run | beside ezmsg {COMING.ezmsg} | beside ezmsg {STABLE.ezmsg} |" in readme
