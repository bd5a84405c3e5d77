"""What a recorder loads before its ledger is open: a script's first line waits for all of it."""

import subprocess
import sys

NOT_NEEDED = ["asyncio", "email", "importlib.metadata", "shutil", "ssl", "urllib.parse", "ezmsg.core"]

TELL = f"""
import sys
import ezmsg.ledger.runtime.server.__main__
print([each for each in {NOT_NEEDED} if each in sys.modules])
"""


def test_a_recorder_loads_nothing_that_it_does_not_need_to_open_its_ledger() -> None:
    done = subprocess.run([sys.executable, "-P", "-c", TELL], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
