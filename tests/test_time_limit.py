"""A test that hangs fails after its time limit, and those after it still run."""

import subprocess
import sys
from pathlib import Path

CONFIGURATION = Path(__file__).parents[1] / "pyproject.toml"

HANGS = """
import threading

def test_hangs():
    threading.Event().wait()

def test_after_it():
    pass
"""


def test_a_hung_test_fails_and_the_run_goes_on(tmp_path: Path) -> None:
    (tmp_path / "test_hangs.py").write_text(HANGS)
    command = [sys.executable, "-m", "pytest", "-c", CONFIGURATION, "--rootdir", tmp_path, "-o", "timeout=1"]
    done = subprocess.run([*command, "-p", "no:cacheprovider", tmp_path], capture_output=True, text=True, timeout=60)
    assert "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    assert "Timeout (>1.0s)" in done.stdout
