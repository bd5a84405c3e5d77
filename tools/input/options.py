"""Parameters of commands: how a command declares them, and those that several commands share.

A command is a plain function below ``argument``, ``option`` and ``flag``: they note what stands on the command line and
leave the function as it is. ``tools/cli.py`` makes the command of it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click import option as option

from ezmsg.ledger.tools.exits import Misuse

if TYPE_CHECKING:
    from ezmsg.ledger.runtime.recorder.followers import Follower

F = TypeVar("F", bound=Callable[..., Any])


class _File(click.Path):
    """A path, but for an empty one: that comes of a variable that is not set, and would mean this folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("it is empty, and not the name of a file", param, ctx)
        return super().convert(value, param, ctx)


FILE = _File(readable=False, path_type=Path)
"""A path, whether or not there is something that may be read: the system says so. Shells complete it."""


class Argument(click.Argument):
    """An argument with a line in the help, as options have."""

    def __init__(self, names: list[str], help: str = "", **attributes: Any) -> None:
        super().__init__(names, **attributes)
        self.help = help

    def get_help_record(self, ctx: click.Context) -> tuple[str, str]:
        return self.make_metavar(ctx), self.help or ""


def argument(name: str, metavar: str, help: str, *, required: bool = False, **attributes: Any) -> Callable[[F], F]:
    """A positional argument, shown as ``metavar``."""
    return click.argument(name, cls=Argument, metavar=metavar, help=help, required=required, **attributes)


def words(metavar: str, help: str) -> Callable[[F], F]:
    """All positional arguments of a command, as one parameter ``words``: see ``arguments.taken_apart``."""
    return argument("words", metavar, help, nargs=-1)


def flag(*names: str, help: str) -> Callable[[F], F]:
    """An option that is there or not."""
    return option(*names, is_flag=True, help=help)


ledger = argument("ledger", "[LEDGER]", "The ledger to read.", type=FILE)
json = flag("--json", help="One JSON document.")

durability = option(
    "--durability",
    metavar="LEVEL",
    type=click.Choice(["commit", "interval", "none"]),
    default="interval",
    help="What a power cut may lose: nothing (commit), 50 ms (interval), or what the system holds (none).",
)


rotate = option(
    "--rotate",
    metavar="SIZE|SPAN",
    multiple=True,
    help="Make the ledger a folder, and begin a new segment after so much, or so long: 256MB, 1d. Can be both.",
)
keep = option("--keep", metavar="SPAN", help="Remove segments so long after they were sealed: 30d.")
compress = flag("--compress", help="Compress sealed segments (extra: zstd).")

no_index = flag("--no-index", help="Keep no index beside the recording; the first look at a long one makes it.")
min_free = option(
    "--min-free",
    metavar="SIZE",
    help="Warn when less is free on the disk: 5GB; 0 for never. 1 GB, or a twentieth of a smaller disk, else.",
)

debug = flag("--debug", help="Open the debugger on the recording, in a process of its own (extra: debugger).")


ship = option(
    "--ship",
    metavar="nats://HOST:PORT",
    help="Ship the recording to a stream while it grows, by a process of its own (extra: fleet): see `ship`.",
)
ship_key = option(
    "--ship-key",
    metavar="FILE",
    type=FILE,
    help="With --ship: leave receipts in the stream, at the end and hourly, signed with this key (extra: sign).",
)
lsl = flag("--lsl", help="Send what is recorded to LabStreamingLayer, as a stream of markers (extra: lsl).")


def at(help: str, default: str | None = "end") -> Callable[[F], F]:
    """The option ``--at``, which takes a moment."""
    return option("--at", metavar="MOMENT", default=default, help=help)


def followers(
    no_index: bool, debug: bool, ship: str | None = None, ship_key: Path | None = None, lsl: bool = False
) -> "list[Follower]":
    """The followers of a recording, by its command's options.

    Raises Misuse when an extra is not installed, ``ship`` is not the address of a broker, or ``ship_key`` not a key.
    """
    if ship_key is not None and ship is None:
        raise Misuse("--ship-key signs what is shipped, and nothing is", hint="Add --ship nats://HOST:PORT.")
    from ezmsg.ledger.runtime.recorder.followers import INDEX_KEEPER

    found = [] if no_index else [INDEX_KEEPER]
    if debug:
        from ezmsg.ledger.tools.debugger.process import debugger

        found.append(debugger())
    if ship is not None:
        from ezmsg.ledger.tools.fleet.shipping.process import shipper

        found.append(shipper(ship, ship_key))
    if lsl:
        from ezmsg.ledger.tools.lsl.process import marker_stream

        found.append(marker_stream())
    return found
