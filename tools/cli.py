"""``ezmsg-ledger``: the table of commands, and what they have in common: help, errors, exit codes.

A command is a line in COMMANDS and a function in a file of its own, which is imported when the command is invoked, and
not before: help and completion come at once, however many commands there are.
"""

import functools
import importlib
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from inspect import cleandoc, get_annotations
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

from ezmsg.ledger.errors import LedgerError
from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.page import NAME, give_up_stdout, report

RECORD, LOOK, KEEP = "Record", "Look", "Keep"


class Command(NamedTuple):
    """One command: its group in the help, the question it answers, and the function that does it.

    The function has the command's name and stands in ``commands/GROUP/NAME.py``, unless ``module`` names another place
    below ezmsg.ledger.tools. Its docstring goes on where the question ends, and its parameters are declared in typer's
    way. It returns an exit code, or None for 0. ``moments``: it takes moments as arguments, and ``-5m`` is one of them
    rather than an option. ``passes_on``: what follows its first argument is not for us, options included.
    """

    name: str
    group: str
    question: str
    module: str = ""
    moments: bool = False
    passes_on: bool = False

    def load(self) -> Callable[..., Any]:
        """The function, imported now."""
        name = self.name.replace("-", "_")
        module = self.module or f"commands.{self.group.lower()}.{name}"
        function: Callable[..., Any] = getattr(importlib.import_module(f"ezmsg.ledger.tools.{module}"), name)
        return function


COMMANDS = (
    Command("run", RECORD, "What does my pipeline wire up, and what becomes of it?", passes_on=True),
    Command("serve", RECORD, "What becomes of a graph that several programs share?"),
    Command("status", RECORD, "Is it recording, and does the disk keep up?"),
    Command("mark", RECORD, "How do I find this moment again?"),
    Command("demo", RECORD, "What does all this look like?", module="demo.story"),
    Command("log", LOOK, "What happened, and in what order?"),
    Command("show", LOOK, "What was the graph like at a moment?"),
    Command("diff", LOOK, "What changed between two moments?", moments=True),
    Command("sessions", LOOK, "Who was connected, for how long, and how did it end?"),
    Command("why", LOOK, "Why is this edge here, or why is it gone?"),
    Command("history", LOOK, "Who held this, or ran it, and when did that change?"),
    Command("path", LOOK, "When was there a path from here to there, and how often did it break?"),
    Command("when", LOOK, "When did this become true, and when did it last change?"),
    Command("explain", LOOK, "Why does this subscriber receive nothing?"),
    Command("what-if", LOOK, "What would the graph look like without this session?"),
    Command("settings", LOOK, "Which settings were in force, and who asked for the change?"),
    Command("debug", LOOK, "May I see it, and move through its history?", module="debugger.command"),
    Command("export", LOOK, "How do I get this into another program?", module="export.command", moments=True),
    Command("verify", KEEP, "Is every byte of this ledger as it was written?"),
    Command("receipt", KEEP, "How can I prove later that nothing was changed?"),
    Command("repair", KEEP, "What can be saved of a damaged ledger?"),
    Command("reenact", KEEP, "Does another server make the same graph of this?", module="reenact.command"),
    Command("rotate", KEEP, "How do I keep a ledger from growing for ever?"),
    Command("selftest", KEEP, "Will recordings be safe in this folder?", module="selftest.command"),
)


class PipeClosed(Exception):
    """Whoever read the output does so no more."""


class NoSuchCommand(exits.Misuse):
    """A command that is in no line of the table."""


class MomentCommand(TyperCommand):
    """A command whose arguments can be moments: ``-5m`` is one, and no option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        from ezmsg.ledger.projections.questions.moments import is_ago

        # A space in front hides the dash from the parser; a moment's text is stripped.
        return super().parse_args(ctx, [f" {arg}" if is_ago(arg) else arg for arg in args])


class Group(TyperGroup):
    """The commands of the table. Only the one that is invoked is imported."""

    listing = False

    def list_commands(self, ctx: Any) -> list[str]:
        return [command.name for command in COMMANDS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        for command in COMMANDS:
            if command.name == cmd_name:
                return _named(command) if self.listing else _loaded(command)
        return None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        names = self.list_commands(ctx)
        if args[0] not in names and not ctx.resilient_parsing:
            near = get_close_matches(args[0], names, 1)
            raise NoSuchCommand(
                f"there is no command {args[0]!r}", hint=f"Did you mean {near[0]}?" if near else f"{NAME} --help"
            )
        return super().resolve_command(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        with self._listed():
            super().format_help(ctx, formatter)

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        with self._listed():
            return super().shell_complete(ctx, incomplete)

    @contextmanager
    def _listed(self) -> Iterator[None]:
        self.listing = True
        try:
            yield
        finally:
            self.listing = False


app = typer.Typer(
    name=NAME,
    cls=Group,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError, version
        from platform import python_version

        from ezmsg.ledger import __version__

        try:
            ezmsg = f"ezmsg {version('ezmsg')}"
        except PackageNotFoundError:
            ezmsg = "no ezmsg"
        print(f"{NAME} {__version__} ({ezmsg}, Python {python_version()})")
        raise typer.Exit(exits.OK)


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Records what happens to the graph of an ezmsg pipeline, and answers questions about it.

    A command that looks takes the ledger of $EZMSG_LEDGER, else the newest *.ledger of this folder, when none is named.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (that of the process when it is None); returns the exit code. Prints errors, raises none."""
    _prepare_streams()
    try:
        code = _run(None if arguments is None else list(arguments))
        sys.stdout.flush()
    except (PipeClosed, BrokenPipeError):
        give_up_stdout()
        code = exits.PIPE
    except KeyboardInterrupt:
        code = exits.INTERRUPTED
    except SystemExit as done:  # completion ends so, and rich when nobody reads what it prints
        code = done.code if isinstance(done.code, int) else exits.OK
        code = exits.PIPE if isinstance(done.__context__, BrokenPipeError) else code
    except LedgerError as error:
        message, *place = str(error).split("\n  ")  # of a predicate: its text, and a caret below it
        report(message, error.hint, place)
        code = exits.code_of(error)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        report(f"the system refused: {where}{error.strerror or error}", "")
        code = exits.code_of(error)
    except Exception as error:
        code = _refuse(error, sys.argv[1:] if arguments is None else list(arguments))
    return code


def _prepare_streams() -> None:
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by whoever started us
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):  # a name that the terminal cannot show must not end in a traceback
            stream.reconfigure(errors="backslashreplace")


def _run(arguments: list[str] | None) -> int:
    command: Any = typer.main.get_command(app)
    code = command.main(args=arguments, prog_name=NAME, standalone_mode=False)
    return code if isinstance(code, int) else exits.OK


def _refuse(error: Exception, arguments: list[str]) -> int:
    """Say what was wrong with the command line; or, when nothing was, that this is a fault."""
    if not hasattr(error, "format_message"):
        traceback.print_exception(error)
        report("this is a fault of the program, not of yours", "Please report it, with the lines above.")
        return exits.FAULT
    message = error.format_message().strip()
    if type(error).__name__ == "NoArgsIsHelpError":  # its message is the help, unless rich has printed that already
        print(message)
    else:
        message = message[:1].lower() + message[1:].replace("\n", " ")
        known = [command.name for command in COMMANDS if command.name in arguments[:1]]
        report(message, " ".join([NAME, *known, "--help"]))
    return exits.USAGE


def _named(command: Command) -> Any:
    """What the help of all commands needs to know of one."""
    return _command(command, lambda: None, command.question)


def _loaded(command: Command) -> Any:
    """The command itself."""
    function = command.load()
    for annotation in get_annotations(function).values():
        for parameter in getattr(annotation, "__metadata__", ()):
            parameter.readable = False  # a file that may not be read is the system's refusal, not a misuse
    return _command(command, _guarded(function), _help_text(command, function.__doc__ or ""))


def _command(command: Command, function: Callable[..., Any], text: str) -> Any:
    shell = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)
    shell.command(
        command.name,
        cls=MomentCommand if command.moments else TyperCommand,
        help=text,
        rich_help_panel=command.group,
        context_settings={
            "help_option_names": ["-h", "--help"],
            "allow_interspersed_args": not command.passes_on,
        },
    )(function)
    return typer.main.get_command(shell)


def _help_text(command: Command, text: str) -> str:
    """The question and the docstring, its paragraphs unwrapped (but not its examples), nothing in it markup."""
    paragraphs = re.split(r"\n\s*\n", cleandoc(re.sub(r"(?:\x08|\\b)\n", "\n", text)))
    unwrapped = [each if "\n  " in each else " ".join(each.split("\n")) for each in paragraphs]
    return "\n\n".join([command.question, *unwrapped]).replace("[", "\\[")


def _guarded(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function``, with a closed pipe reported in a way that typer does not catch."""

    @functools.wraps(function)
    def guarded(*args: Any, **options: Any) -> Any:
        try:
            return function(*args, **options)
        except BrokenPipeError as error:
            raise PipeClosed from error

    return guarded


if __name__ == "__main__":
    sys.exit(main())
