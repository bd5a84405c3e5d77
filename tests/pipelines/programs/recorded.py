"""Records pipelines from within the program that runs them, one after the other, each to a ledger of its own.

recorded.py early|late START_METHOD ...

``late`` imports ezmsg only while it is being recorded; the start method ``none`` means one process.
"""

import importlib
import multiprocessing
import sys

ORDER, *METHODS = sys.argv[1:]

if ORDER == "early":
    import pipeline

from ezmsg.ledger.runtime import record  # noqa: E402 - the order is what this is about


def main() -> None:
    for number, method in enumerate(METHODS):
        if method != "none":
            multiprocessing.set_start_method(method, force=True)
        with record(f"{number}-{method}.ledger"):
            run(method)


def run(method: str) -> None:
    module = pipeline if ORDER == "early" else importlib.import_module("pipeline")
    lab = module.Lab()
    lab.split = method != "none"
    module.ez.run(LAB=lab)


if __name__ == "__main__":
    main()
