"""Completion of commands, options and file names in bash, zsh and fish."""

import os
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from ezmsg.ledger.tools.exits import Misuse
from ezmsg.ledger.tools.output import COMPLETE, NAME

FILES = {
    "bash": (f".bash_completions/{NAME}.sh", ".bashrc", "source '{file}'"),
    "zsh": (f".zfunc/_{NAME}", ".zshrc", "fpath+='{folder}'; autoload -Uz compinit; compinit"),
    "fish": (f".config/fish/completions/{NAME}.fish", "", ""),
}
"""For each shell, below the home folder: the file for the script, and the line that another file needs to find it."""


class NoCompletion(Misuse):
    """The shell in use has no completion."""


def script(app: click.Command) -> str:
    """The script that makes the shell of this user complete ``app``. Raises NoCompletion."""
    completion = get_completion_class(_shell())
    assert completion is not None
    return completion(app, {}, NAME, COMPLETE).source()


def install(app: click.Command) -> str:
    """Write the script where the shell looks for it; returns what to say. Doing it again changes nothing.

    Raises NoCompletion, and OSError when the home folder cannot be written.
    """
    shell, text = _shell(), script(app)
    name, start, line = FILES[shell]
    file = Path.home() / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    if start:
        wanted = line.format(file=file, folder=file.parent)
        found = Path.home() / start
        before = found.read_text(encoding="utf-8") if found.exists() else ""
        if wanted not in before.splitlines():
            with found.open("a", encoding="utf-8") as out:
                out.write(f"{'' if before.endswith(chr(10)) or not before else chr(10)}{wanted}\n")
    return f"{shell} completes {NAME} as soon as it is started anew: {file}"


def _shell() -> str:
    shell = Path(os.environ.get("SHELL", "")).name
    if shell not in FILES:
        named = f"$SHELL is {shell}" if shell else "$SHELL does not say which shell is in use"
        raise NoCompletion(f"there is completion for bash, zsh and fish alone, and {named}", hint="SHELL=bash, say.")
    return shell
