"""The log file of a server that a person started: what it says on standard error, and all that is logged beside."""

import contextlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

from ezmsg.ledger.tools.output import Page

FORMAT = "%(asctime)s.%(msecs)03d - pid: %(process)d - %(threadName)s - %(levelname)s - %(funcName)s: %(message)s"
DATES = "%Y-%m-%d %H:%M:%S"
"""The form of the lines of `ezmsg serve --log-file`, so that what reads those reads these."""


@contextlib.contextmanager
def service_log(path: Path | None) -> Iterator[Callable[[str], None]]:
    """The function with which a server says its lines: on standard error, and in the file at ``path`` if there is one.

    While it is open, all that this package logs is on standard error too, whichever ezmsg is beside it, since 3.10
    puts the log on standard output, but for warnings. The file also gets what ezmsg logs, and the error with which a
    server ended. It is appended to, and its folder is made. Raises OSError when the system refuses that.

        >>> from pathlib import Path
        >>> with service_log(Path("logs/rig.log")) as say:
        ...     say("graph server at 127.0.0.1:10000")
        >>> Path("logs/rig.log").read_text().endswith(" - INFO - say: graph server at 127.0.0.1:10000\\n")
        True
    """
    noted = logging.Logger("service")  # known to nobody else: what it notes is on standard error already
    noted.addHandler(logging.NullHandler())
    page = Page()
    with contextlib.ExitStack() as stack:
        ours = logging.getLogger("ezmsg.ledger")
        _attach(logging.StreamHandler(), stack, ours)
        stack.callback(setattr, ours, "propagate", ours.propagate)
        ours.propagate = False
        if path is not None:
            path.expanduser().parent.mkdir(parents=True, exist_ok=True)
            _attach(
                logging.FileHandler(path.expanduser(), encoding="utf-8"), stack, noted, ours, logging.getLogger("ezmsg")
            )

        def say(line: str) -> None:
            page.note(line)
            noted.info(line)

        try:
            yield say
        except Exception as error:
            noted.error("%s: %s", type(error).__name__, error)
            raise


def _attach(handler: logging.Handler, stack: contextlib.ExitStack, *loggers: logging.Logger) -> None:
    handler.setFormatter(logging.Formatter(FORMAT, DATES))
    stack.callback(handler.close)
    for logger in loggers:
        logger.addHandler(handler)
        stack.callback(logger.removeHandler, handler)
