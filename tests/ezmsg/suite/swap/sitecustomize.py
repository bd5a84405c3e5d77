"""Counts, and on request replaces, ezmsg's graph server in this interpreter and in every one it starts.

Python runs a `sitecustomize` found on PYTHONPATH before anything else, in spawned and separately started children
too, which no pytest plugin or conftest reaches. Without ``EZMSG_LEDGER_SUITE_LOG`` this file does nothing.

``EZMSG_LEDGER_SUITE_LOG``   file that gets one JSON line per start of a graph server
``EZMSG_LEDGER_SUITE_SWAP``  ``module:Class`` to put in the place of ``ezmsg.core.graphserver.GraphServer``

Nothing but the standard library is imported here: this runs before the tests' own imports and must not disturb them.
"""

from __future__ import annotations

import functools
import importlib
import importlib.machinery
import importlib.util
import json
import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

LOG = "EZMSG_LEDGER_SUITE_LOG"
SWAP = "EZMSG_LEDGER_SUITE_SWAP"
SERVER_MODULE = "ezmsg.core.graphserver"


def record_start(cls: type) -> None:
    """Appends who was started, where and during which test, in one write so that processes cannot interleave."""
    test = os.environ.get("PYTEST_CURRENT_TEST", "")
    line = {
        "class": cls.__qualname__,
        "module": cls.__module__,
        "pid": os.getpid(),
        # pytest adds the phase: "tests/test_a.py::test_b (setup)".
        "test": test.rpartition(" (")[0],
        "core": sys.modules[SERVER_MODULE].__file__,
    }
    descriptor = os.open(os.environ[LOG], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, json.dumps(line).encode() + b"\n")
    finally:
        os.close(descriptor)


def log_starts(cls: Any) -> None:
    """Makes each start of `cls` write its line first.

    The line names `cls`, the class whose code runs, not the object's own type: a replacement that inherits the stock
    server, or calls its `start`, has to show up as a start of the stock server.
    """
    start = cls.start

    @functools.wraps(start)
    def logged(self: Any, *args: Any, **kwargs: Any) -> Any:
        record_start(cls)
        return start(self, *args, **kwargs)

    cls.start = logged


@functools.cache
def replacement() -> Any:
    """The class named by the environment, its starts logged. Raises what importing it raises."""
    module, _, name = os.environ[SWAP].partition(":")
    cls = getattr(importlib.import_module(module), name)
    log_starts(cls)
    return cls


class Lazy(type):
    """Makes a class stand for `replacement()` from its first use on, in place of it from its import on.

    `ezmsg.core.graphserver` is executed in the middle of `import ezmsg.core`. The replacement imports parts of
    ezmsg.core itself: importing it there would give it a half-made package, and if it was the replacement's own
    import that brought ezmsg.core in, a half-made replacement. Nothing uses the class before both are done, except
    in annotations such as ``GraphServer | None``, for which it has to be a real class.
    """

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return replacement()(*args, **kwargs)

    def __getattr__(cls, name: str) -> Any:
        return getattr(replacement(), name)

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, replacement())


class GraphServer(metaclass=Lazy):
    """What the name GraphServer means in ezmsg when the swap is on."""


class ServerFinder:
    """Finds `ezmsg.core.graphserver` as usual, and acts between its execution and everyone's import of it."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != SERVER_MODULE:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return None
        loader: Any = spec.loader
        execute = loader.exec_module

        def execute_and_act(module: Any) -> None:
            execute(module)
            log_starts(module.GraphServer)
            if os.environ.get(SWAP):
                module.GraphServer = GraphServer

        # On the loader object and not in a loader of our own: inspection and tracebacks ask it for the source.
        loader.exec_module = execute_and_act
        return spec


def run_shadowed() -> None:
    """Runs the `sitecustomize` that this one hides, if there is one: distributions and editors install their own."""
    here = os.path.dirname(os.path.realpath(__file__))
    others = [entry for entry in sys.path if os.path.realpath(entry) != here]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", others)
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


if os.environ.get(LOG):
    sys.meta_path.insert(0, ServerFinder())
run_shadowed()
