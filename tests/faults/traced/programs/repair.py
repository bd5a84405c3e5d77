"""Repairs a damaged ledger by the command that people use: repair.py FOLDER"""

import sys

from acks import say

from ezmsg.ledger.tools import cli


def main(folder: str) -> None:
    code = cli.main(["repair", f"{folder}/damaged.ledger", "--output", f"{folder}/x.ledger"])
    if code:
        sys.exit(code)
    say(made=True)


if __name__ == "__main__":
    main(sys.argv[1])
