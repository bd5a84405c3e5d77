"""pytest plugin that writes one JSON line per phase of each test as soon as it is known.

A junit file is written at the end, so never by a run that had to be killed, and lacks the node ids that
``PYTEST_CURRENT_TEST`` and the command line use.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import Any

import pytest

RESULTS = "EZMSG_LEDGER_SUITE_RESULTS"

LATE = 70  # exit status of a pytest that had to be ended after its last test
LATE_SECONDS = 10.0  # a whole run needs less than 1 s from its last test to its end

LINES_MAX = 30  # of a failure and of each captured stream; pytest's own output has them whole


def write(line: dict[str, Any]) -> None:
    with open(os.environ[RESULTS], "a", encoding="utf-8") as results:
        results.write(json.dumps(line) + "\n")


def output(report: pytest.TestReport | pytest.CollectReport) -> str:
    """The ends of the failure and of all that was captured, empty for a report that did not fail."""
    if not report.failed:
        return ""
    parts = [ending(report.longreprtext)]
    for title, text in report.sections:
        parts += [f"-- {title}", ending(text)]
    return "\n".join(parts)


def ending(text: str) -> str:
    return "\n".join(text.splitlines()[-LINES_MAX:])


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    write(
        {
            "test": report.nodeid,
            "phase": report.when,
            "outcome": report.outcome,
            "seconds": report.duration,
            "output": output(report),
        }
    )


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.failed:
        write(
            {
                "test": report.nodeid,
                "phase": "collect",
                "outcome": report.outcome,
                "seconds": 0.0,
                "output": output(report),
            }
        )


def pytest_sessionfinish() -> None:
    core = sys.modules.get("ezmsg.core")
    write({"core": None if core is None else core.__file__})
    # A server that was not stopped may keep the interpreter from ending; the results are known, so nobody waits for it.
    watch = threading.Timer(LATE_SECONDS, os._exit, [LATE])
    watch.daemon = True
    watch.start()
