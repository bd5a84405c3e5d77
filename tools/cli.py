"""``ezmsg-ledger``: the table of commands, and what they have in common: help, errors, exit codes.

A command is a line in COMMANDS and a function in a file of its own, which is imported when the command is invoked, and
not before: help and completion come at once, however many commands there are.
"""

import errno
import importlib
import os
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from inspect import cleandoc
from typing import Any, NamedTuple

import click

from ezmsg.ledger.errors import LedgerError
from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.output import COMPLETE, NAME, give_up_stdout, report

AS_JSON = "--json"
GIVEN = f"{__name__}.given"
"""The key under which a context keeps the words of the command line, for options that need one another."""

RECORD, LOOK, KEEP, BEYOND = "Record", "Look", "Keep", "Beyond"

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100, "show_default": True}


class Command(NamedTuple):
    """A command: its group in the help, the question it answers, and the function that does it.

    The function has the command's name and stands in ``commands/GROUP/NAME.py``, unless ``module`` names another place
    below ezmsg.ledger.tools. Its docstring goes on where the question ends; decorators of ``input/options.py`` declare
    its parameters. It returns an exit code, or None for 0. ``moments``: it takes moments as arguments, and ``-5m`` is
    one of them rather than an option. ``passes_on``: what follows its first argument is not for us, options included.
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
    Command("evict", RECORD, "How do I get rid of a session that will not end?"),
    Command("demo", RECORD, "What does all this look like?", module="demo.command"),
    Command("log", LOOK, "What happened, and in what order?"),
    Command("show", LOOK, "What was the graph like at a moment?"),
    Command("diff", LOOK, "What changed between two moments?", moments=True),
    Command("check", LOOK, "Is this session wired and set as the validated one?"),
    Command("sessions", LOOK, "Who was connected, for how long, and how did it end?"),
    Command("clocks", LOOK, "Can the times in this ledger be trusted, and where was the clock set?"),
    Command("why", LOOK, "Why is this edge here, or why is it gone?"),
    Command("history", LOOK, "Who held this, or ran it, and when did that change?"),
    Command("path", LOOK, "When was there a path from here to there, and how often did it break?"),
    Command("when", LOOK, "When did this become true, and when did it last change?"),
    Command("watch", LOOK, "Is it so now, and who will tell me when that changes?"),
    Command("explain", LOOK, "Why does this subscriber receive nothing?"),
    Command("what-if", LOOK, "What would the graph look like without this session?"),
    Command("settings", LOOK, "Which settings were in force, and who asked for the change?"),
    Command("debug", LOOK, "May I see it, and move through its history?", module="debugger.command"),
    Command("export", LOOK, "How do I get this into another program?", module="export.command", moments=True),
    Command("verify", KEEP, "Is every byte of this ledger as it was written?"),
    Command("receipt", KEEP, "How can I prove later that nothing was changed?"),
    Command("repair", KEEP, "What can be saved of a damaged ledger?"),
    Command("cut", KEEP, "How do I hand on a part of a ledger?", moments=True),
    Command("redact", KEEP, "How do I hand on a ledger without what names people?"),
    Command("reenact", KEEP, "Does another server make the same graph of this?", module="reenact.command"),
    Command("rotate", KEEP, "How do I keep a ledger from growing for ever?"),
    Command("selftest", KEEP, "Will recordings be safe in this folder?", module="selftest.command"),
    Command("attach", BEYOND, "How do I record beside a graph server that I cannot replace?"),
    Command("restore", BEYOND, "How do I get the graph and the settings of that moment back?", moments=True),
    Command("in-force", BEYOND, "Which settings and wiring made these seconds of this data file?"),
    Command("annotate", BEYOND, "How do I put the history of its settings into a data file?"),
    Command("ship", BEYOND, "How do I get this ledger off the rig, while it is recorded?"),
    Command("fetch", BEYOND, "How do I get a shipped ledger back as a file?"),
    Command("fleet", BEYOND, "Which of my rigs had this, and how do they differ?", moments=True),
)


class NoSuchCommand(exits.Misuse):
    """A command that is in no line of the table."""


class Shown(click.Command):
    """A command as the help shows it: what it does, its arguments, then its options."""

    moments = False

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if self.moments:
            from ezmsg.ledger.projections.questions.moments.moments import is_ago

            # A space in front hides the dash from the parser; a moment's text is stripped.
            args = [f" {arg}" if is_ago(arg) else arg for arg in args]
        return super().parse_args(ctx, args)

    def format_arguments(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Leave this out: newer versions of click list arguments here, and ``format_options`` does it for all."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, kind in (("Arguments", click.Argument), ("Options", click.Option)):
            records = [each.get_help_record(ctx) for each in self.get_params(ctx) if isinstance(each, kind)]
            if rows := [record for record in records if record is not None]:
                with formatter.section(title):
                    formatter.write_dl(rows)


class Commands(click.Group):
    """The commands of the table. Only the one that is invoked is imported."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[GIVEN] = tuple(args)
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [command.name for command in COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return next((_loaded(command) for command in COMMANDS if command.name == cmd_name), None)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        names = self.list_commands(ctx)
        if args[0] not in names and not ctx.resilient_parsing:
            from ezmsg.ledger.projections.questions.name_hints import did_you_mean  # no command starts later for it

            hint = did_you_mean(args[0], names) or f"{NAME} --help"
            raise NoSuchCommand(f"there is no command {args[0]!r}", hint=hint)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(len(command.name) for command in COMMANDS)
        for group in (RECORD, LOOK, KEEP, BEYOND):
            with formatter.section(group):
                rows = [(each.name.ljust(width), each.question) for each in COMMANDS if each.group == group]
                formatter.write_dl(rows)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        from click.shell_completion import CompletionItem

        found = [CompletionItem(each.name, help=each.question) for each in COMMANDS if each.name.startswith(incomplete)]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]


def _version(ctx: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if wanted:
        from ezmsg.ledger.tools.versions import versions

        found = versions()
        if AS_JSON in ctx.meta.get(GIVEN, ()):
            from ezmsg.ledger.tools.output import Page

            Page().document(found)
        else:
            ezmsg = f"ezmsg {found['ezmsg']}" if found["ezmsg"] else "no ezmsg"
            print(f"{NAME} {found['version']} ({ezmsg}, Python {found['python']})")
        ctx.exit(exits.OK)


def _json(ctx: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        raise click.UsageError(f"{AS_JSON} stands after a command, or beside --version")


def _completion(ctx: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if wanted:
        from ezmsg.ledger.tools.completion import install, script

        print(script(app) if parameter.name == "show_completion" else install(app))
        ctx.exit(exits.OK)


def _eager(name: str, callback: Callable[..., None], help: str) -> click.Option:
    return click.Option([name], is_flag=True, expose_value=False, is_eager=True, callback=callback, help=help)


_HINTS = {
    errno.ENOSPC: "Make room there, or write to another place.",
    errno.EDQUOT: "Make room there, or write to another place.",
    errno.EROFS: "Write to another place.",
}


app = Commands(
    NAME,
    no_args_is_help=True,
    context_settings=SETTINGS,
    params=[
        _eager("--version", _version, "Print the version and exit."),
        click.Option([AS_JSON], is_flag=True, expose_value=False, callback=_json, help="With --version: a document."),
        _eager("--install-completion", _completion, "Teach your shell to complete commands, options and file names."),
        _eager("--show-completion", _completion, "Print what that would add for your shell."),
    ],
    help="Records what happens to the graph of an ezmsg pipeline, and answers questions about it.\n\nA command that "
    "looks takes the ledger of $EZMSG_LEDGER, else the newest *.ledger of this folder, when none is named.",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (that of the process when it is None); returns the exit code. Prints errors, raises none.

    >>> main(["show", "nowhere.ledger"])
    2
    """
    _prepare_streams()
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        code = _run(given)
        sys.stdout.flush()
    except BrokenPipeError:
        give_up_stdout()
        code = exits.PIPE
    except KeyboardInterrupt:
        code = exits.INTERRUPTED
    except SystemExit as done:  # rich ends so when nobody reads what it prints
        code = done.code if isinstance(done.code, int) else exits.OK
        code = exits.PIPE if isinstance(done.__context__, BrokenPipeError) else code
    except LedgerError as error:
        message, *place = str(error).split("\n  ")  # of a predicate: its text, and a caret below it
        report(message, error.hint, place)
        code = exits.code_of(error)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        report(f"the system refused: {where}{error.strerror or error}", _HINTS.get(error.errno or 0, ""))
        code = exits.code_of(error)
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message())
        code = exits.USAGE
    except click.UsageError as error:
        known = [command.name for command in COMMANDS if command.name in given[:1]]
        message = " ".join(error.format_message().split()).rstrip(".")
        report(message[:1].lower() + message[1:], " ".join([NAME, *known, "--help"]))
        code = exits.USAGE
    except Exception as error:
        traceback.print_exception(error)
        report("this is a fault of the program, not of yours", "Please report it, with the lines above.")
        code = exits.FAULT
    return code


def _prepare_streams() -> None:
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by the program that started us
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):  # a name that the terminal cannot show must not end in a traceback
            stream.reconfigure(errors="backslashreplace")


def _run(arguments: list[str]) -> int:
    if instruction := os.environ.get(COMPLETE):
        from click.shell_completion import shell_complete

        return shell_complete(app, {}, NAME, COMPLETE, instruction)
    try:
        with app.make_context(NAME, arguments) as context:
            code = app.invoke(context)
    except click.exceptions.Exit as done:  # the help, and the version
        code = done.exit_code
    return code if isinstance(code, int) else exits.OK


def _loaded(command: Command) -> click.Command:
    """The command itself: its function, imported, with the parameters that it declares."""
    function = command.load()
    import logging  # what reads a ledger imports it anyway, and the help need not

    if logging.lastResort is not None:  # a warning that nobody else shows bears our name, as all on standard error
        logging.lastResort.setFormatter(logging.Formatter(f"{NAME}: %(message)s"))
    shown = Shown(
        command.name,
        callback=function,
        params=list(reversed(getattr(function, "__click_params__", []))),
        help=_help_text(command, function.__doc__ or ""),
        context_settings={**SETTINGS, "allow_interspersed_args": not command.passes_on},
    )
    shown.moments = command.moments
    return shown


def _help_text(command: Command, text: str) -> str:
    """The question and the docstring; a paragraph of examples keeps its lines, all others are wrapped anew."""
    paragraphs = re.split(r"\n\s*\n", cleandoc(text))
    return "\n\n".join([command.question, *(f"\b\n{each}" if "\n  " in each else each for each in paragraphs)])


if __name__ == "__main__":
    sys.exit(main())
