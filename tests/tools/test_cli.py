"""The program as a whole: its help, its errors and exit codes, and how it behaves in pipes."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ezmsg.ledger import __version__
from ezmsg.ledger import events as ev
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.tools import cli, exits
from ezmsg.ledger.tools.cli import COMMANDS, app

LOG = "ezmsg.ledger.tools.commands.look.log"
DOCS = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
NAMES = [command.name for command in COMMANDS]
LOOKING = [command.name for command in COMMANDS if command.group == cli.LOOK and command.name != "debug"]
"""The commands that print what they find and end."""
ASKED = {
    "diff": ["start", "end"],
    "why": ["SYSTEM/AMP/OUT", "SCOPE"],
    "history": ["SYSTEM/AMP/OUT", "SCOPE"],
    "path": ["SYSTEM/AMP/OUT", "SCOPE/COPY"],
    "when": ["session viewer and not paused"],
    "check": ["--like", Path(__file__).with_name("documents") / "demo.ledger"],
    "explain": ["SYSTEM/AMP/IN"],
    "what-if": ["viewer"],
    "settings": ["SYSTEM/AMP"],
    "watch": ["paused", "--until", "false"],
}
"""What a command wants to be asked about, in the ledger of the night."""
CONSOLE = Path(sys.executable).with_name("ezmsg-ledger")
PROGRAM = [str(CONSOLE)] if CONSOLE.exists() else [sys.executable, "-m", "ezmsg.ledger.tools.cli"]

Run = Callable[..., Any]


def console(*arguments: object, **options: Any) -> "subprocess.CompletedProcess[str]":
    """Run the installed program as a process of its own."""
    env = {name: value for name, value in os.environ.items() if name not in ("EZMSG_LEDGER", "FORCE_COLOR")}
    env.update(options.pop("env", {}))
    options = {"capture_output": True, "text": True, "timeout": 60, **options}
    return subprocess.run([*PROGRAM, *map(str, arguments)], env=env, **options)


# --- help and documentation ------------------------------------------------------------------------------------------


def test_the_help_names_every_command_with_its_question_in_its_group(run: Run) -> None:
    answer = run("--help")
    assert answer.code == exits.OK
    for command in COMMANDS:
        assert re.search(rf"\b{command.name}\b.*{re.escape(command.question[:30])}", answer.out), command
    places = [answer.out.index(f"\n{group}:\n") for group in (cli.RECORD, cli.LOOK, cli.KEEP, cli.BEYOND)]
    assert places == sorted(places)


@pytest.mark.parametrize("name", NAMES)
def test_a_commands_help_begins_with_its_question_and_has_an_example(run: Run, name: str) -> None:
    answer = run(name, "--help")
    question = next(command.question for command in COMMANDS if command.name == name)
    assert answer.code == exits.OK
    text = answer.out[answer.out.index("Usage") :]
    assert question in " ".join(text.split("\n\n")[0].split()) or question in text.split("\n", 4)[2]
    assert re.search(rf"Examples?:\s+ezmsg-ledger {name}\b", text), text
    assert run(name, "-h").out == answer.out


@pytest.mark.parametrize("name", NAMES)
def test_every_command_and_every_option_is_documented(name: str) -> None:
    section = sections()[name]
    assert f"    ezmsg-ledger {name}" in section
    group: Any = app
    for parameter in group.get_command(None, name).params:
        for option in getattr(parameter, "opts", []):
            if option.startswith("--"):
                assert f"`{option}`" in section, f"{option} of {name}"
    shown = re.search(rf"\[`{name}`\]\(#{name}\) \| (.*) \|", DOCS)
    assert shown is not None
    assert shown[1] == next(command.question for command in COMMANDS if command.name == name)


def test_nothing_is_documented_that_is_not_there() -> None:
    assert [name for name in sections() if name not in NAMES] == ["What all commands have in common"]


def test_every_exit_code_is_documented() -> None:
    table = DOCS[DOCS.index("### Exit codes") : DOCS.index("### Moments")]
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)}
    codes = {value for name, value in vars(exits).items() if name.isupper() and isinstance(value, int)}
    assert documented == codes - {exits.SIGNALLED}


def sections() -> dict[str, str]:
    """The documentation by its second headings."""
    parts = re.split(r"^## (.*)$", DOCS, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


DOCUMENTS = [name for name in (*LOOKING, "verify", "receipt", "repair") if name not in ("log", "export", "watch")]
"""The commands that print one document with --json."""


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_key_of_a_document_is_documented(run: Run, night: Any, name: str) -> None:
    moments = {
        "show": ["--at", night.seqs["visited"]],
        "diff": [night.seqs["wired"], night.seqs["first run"]],
        "check": ["--like", night.path, "--at", night.seqs["wired"]],
    }
    asked = moments.get(name, ASKED.get(name, []))
    document = json.loads(run(name, night.path, *asked, "--json").out)
    there = sections()
    section = there[name] + there["show"] + (there["diff"] if name == "what-if" else "")
    section += there["why"] if name in ("history", "explain", "path", "when", "settings", "check") else ""
    section += there["history"] if name in ("path", "when") else ""
    missing = [key for key in _keys(document) if f'"{key}"' not in section]
    assert missing == []


FREE = (
    *("metadata", "repr_value", "structured_value", "settings_schema", "graph"),
    *("value", "before", "expected", "found"),
)
"""Fields whose keys are not ours."""


def _keys(value: Any, below: str = "") -> set[str]:
    """The names of fields in a document; maps by topic, address or UUID, and values, have none."""
    if isinstance(value, list):
        return set().union(*(_keys(item, below) for item in value))
    if not isinstance(value, dict) or below in FREE:
        return set()
    inner = set().union(*(_keys(item, key) for key, item in value.items()))
    return inner if any("/" in key or "-" in key for key in value) else {*value, *inner}


# --- start -----------------------------------------------------------------------------------------------------------


def test_the_installed_program_tells_its_version() -> None:
    done = console("--version")
    assert done.returncode == exits.OK
    assert done.stdout.startswith(f"ezmsg-ledger {__version__} (ezmsg ")


@pytest.mark.parametrize(
    ("arguments", "not_loaded"),
    [
        (["--help"], ["ezmsg.core", "ezmsg.ledger.runtime", LOG, "ezmsg.ledger.projections"]),
        (["--version"], ["ezmsg.core", "ezmsg.ledger.runtime", LOG, "rich.console"]),
        (["log", "LEDGER"], ["ezmsg.core", "ezmsg.ledger.runtime", "asyncio", "rich.console"]),
        (["show", "LEDGER"], ["ezmsg.core", "ezmsg.ledger.runtime", "asyncio", "rich.console"]),
        (["verify", "LEDGER"], ["ezmsg.core", "ezmsg.ledger.runtime", "asyncio", "rich.console"]),
        (["why", "LEDGER", "SCOPE", "SCOPE/COPY"], ["ezmsg.core", "ezmsg.ledger.runtime", "asyncio", "rich.console"]),
        (["when", "LEDGER", "paused"], ["ezmsg.core", "ezmsg.ledger.runtime", "asyncio", "rich.console"]),
        (["settings", "LEDGER", "SYSTEM/SINK"], ["ezmsg.core", "ezmsg.ledger.runtime", "asyncio", "rich.console"]),
        (["export", "LEDGER", "-f", "dot"], ["ezmsg.core", "ezmsg.ledger.runtime", "pyarrow", "networkx"]),
        (["receipt", "LEDGER"], ["ezmsg.core", "ezmsg.ledger.runtime", "asyncio", "rich.console", "cryptography"]),
        (["repair", "LEDGER"], ["ezmsg.core", "ezmsg.ledger.runtime", "asyncio", "rich.console"]),
    ],
)
def test_a_command_loads_only_what_it_needs(night: Any, arguments: list[str], not_loaded: list[str]) -> None:
    code = (
        "import sys; from ezmsg.ledger.tools.cli import main; main(sys.argv[1:]);"
        "print('LOADED', *sys.modules, file=sys.stderr)"
    )
    given = [str(night.path) if each == "LEDGER" else each for each in arguments]
    done = subprocess.run([sys.executable, "-c", code, *given], capture_output=True, text=True, timeout=60)
    loaded = done.stderr[done.stderr.index("LOADED") :].split()
    assert [name for name in not_loaded if name in loaded] == []


def test_without_a_command_the_help_is_shown_once(run: Run) -> None:
    answer = run()
    assert answer.code == exits.USAGE
    assert (answer.out + answer.err).count("Usage:") == 1


def test_the_app_can_be_run_by_click_itself(night: Any) -> None:
    done = CliRunner().invoke(app, ["log", str(night.path), "-n", "1"])
    assert done.exit_code == exits.OK
    assert "server stopped" in done.output


def completed(words: str, place: int) -> list[str]:
    """What bash is offered for the word at ``place`` of a line."""
    env = {"_EZMSG_LEDGER_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(place)}
    done = console(env=env)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


@pytest.mark.parametrize(
    ("typed", "offered"),
    [("s", {"selftest", "show", "serve", "sessions", "settings", "ship", "status"}), ("lo", {"log"})],
)
def test_the_shell_completes_commands(typed: str, offered: set[str]) -> None:
    assert {word.removeprefix("plain,") for word in completed(f"ezmsg-ledger {typed}", 1)} == offered


def test_the_shell_completes_options_and_files() -> None:
    assert completed("ezmsg-ledger log --fo", 2) == ["plain,--follow"]
    assert completed("ezmsg-ledger show ru", 2) == ["file,ru"]
    assert completed("ezmsg-ledger serve --durability i", 3) == ["plain,interval"]


@pytest.mark.parametrize(("shell", "start"), [("bash", ".bashrc"), ("zsh", ".zshrc"), ("fish", None)])
def test_completion_is_installed_once(tmp_path: Path, shell: str, start: str | None) -> None:
    env = {"HOME": str(tmp_path), "SHELL": f"/bin/{shell}"}
    if start is not None:
        (tmp_path / start).write_text("alias ll='ls -l'")
    said = [console("--install-completion", env=env) for _ in range(2)]
    assert [done.returncode for done in said] == [exits.OK, exits.OK], said
    place = Path(said[0].stdout.strip().rpartition(": ")[2])
    assert place.read_text() == console("--show-completion", env=env).stdout.removesuffix("\n")
    if start is not None:
        lines = (tmp_path / start).read_text().splitlines()
        assert (len(lines), lines[0]) == (2, "alias ll='ls -l'")


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_what_is_installed_completes_in_a_real_bash(tmp_path: Path) -> None:
    env = {"HOME": str(tmp_path), "SHELL": "/bin/bash", "PATH": f"{CONSOLE.parent}:{os.environ['PATH']}"}
    assert console("--install-completion", env=env).returncode == exits.OK
    line = "COMP_WORDS=(ezmsg-ledger sho); COMP_CWORD=1; _ezmsg_ledger_completion ezmsg-ledger; echo ${COMPREPLY[@]}"
    command = ["bash", "-c", f"source ~/.bashrc; {line}"]
    done = subprocess.run(command, env={**os.environ, **env}, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["show"], done


def test_a_shell_without_completion_is_said() -> None:
    done = console("--install-completion", env={"SHELL": "/bin/tcsh"})
    assert (done.returncode, done.stdout) == (exits.USAGE, "")
    assert "bash, zsh and fish alone, and $SHELL is tcsh" in done.stderr


def test_an_option_that_is_nearly_right_is_named(run: Run) -> None:
    answer = run("log", "--folow")
    assert answer.code == exits.USAGE
    assert "no such option" in answer.err
    assert "--follow" in answer.err


# --- bad input -------------------------------------------------------------------------------------------------------


def sound(path: Path) -> bytes:
    with Ledger.open(path) as ledger:
        for number in range(30):
            ledger.append([ev.Mark(name=f"mark {number}")])
    return path.read_bytes()


def damaged(path: Path) -> None:
    path.write_bytes(sound(path).replace(b'"name":"mark 11"', b'"name":mark 11""'))


def without_its_header(path: Path) -> None:
    path.write_bytes(sound(path).split(b"\n", 1)[1])


def torn(path: Path) -> None:
    path.write_bytes(sound(path)[:3000])


def newer(path: Path) -> None:
    path.write_bytes(sound(path).replace(b'"format":1', b'"format":3', 1))


def headless(path: Path) -> None:
    path.write_bytes(sound(path)[:50])


def missing(path: Path) -> None:
    """There is none."""


def written(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


FOREIGN = [
    (missing, exits.USAGE, "there is no file", "hint: "),
    (Path.mkdir, exits.NOT_A_LEDGER, "is a folder", "A ledger is one file"),
    (written(b""), exits.NOT_A_LEDGER, "is empty", "hint: "),
    (written(b'{"some": "json"}\n'), exits.NOT_A_LEDGER, "it is JSON, but", "hint: "),
    (written(b"[1, 2, 3]"), exits.NOT_A_LEDGER, "it is JSON, but", "hint: "),
    (written(bytes(range(256)) * 20), exits.NOT_A_LEDGER, "binary data", "hint: "),
    (written(b"Dear diary,\n"), exits.NOT_A_LEDGER, "Dear diary", "hint: "),
    (headless, exits.NOT_A_LEDGER, "header line is incomplete", ""),
    (newer, exits.NOT_A_LEDGER, "has format 3", "Upgrade ezmsg-ledger"),
    (without_its_header, exits.DAMAGED, "damaged at offset 0", "Keep it:"),
    (damaged, exits.DAMAGED, "after seq 11", ""),
]


@pytest.mark.parametrize("command", [*LOOKING, "verify", "receipt", "repair"])
@pytest.mark.parametrize(("make", "code", "message", "hint"), FOREIGN)
def test_a_file_that_is_no_sound_ledger(
    run: Run, tmp_path: Path, command: str, make: Callable[[Path], object], code: int, message: str, hint: str
) -> None:
    path = tmp_path / "my recordings of today.ledger"
    make(path)
    if command == "repair" and make is damaged:
        code, message = exits.OK, "all up to seq 11"
    asked = ["--write", tmp_path / "rig.json"] if command == "check" else ASKED.get(command, [])
    answer = run(command, path, *asked)
    assert answer.code == code, answer
    assert message in answer.err + answer.out
    assert hint in answer.err + answer.out
    assert "Traceback" not in answer.err


@pytest.mark.parametrize(
    "command", ["log", "show", "sessions", "why", "path", "when", "explain", "what-if", "settings"]
)
def test_what_comes_before_the_damage_is_shown_all_the_same(
    run: Run, night: Any, tmp_path: Path, command: str
) -> None:
    path = tmp_path / "x.ledger"
    path.write_bytes(night.path.read_bytes().replace(b'"session":21,"reason"', b'"session":2x,"reason"', 1))
    answer = run(command, path, *ASKED.get(command, []))
    assert answer.code == exits.DAMAGED, answer
    assert len(answer.out.splitlines()) > 2
    assert "is damaged after seq 39" in answer.err


LATER = {"show": [], "why": ["A", "B"], "history": ["A", "B"], "path": ["A", "B"], "when": ["A -> B"]}


@pytest.mark.parametrize("command", LATER)
def test_nothing_is_said_of_what_lies_behind_the_damage(run: Run, tmp_path: Path, command: str) -> None:
    """The end of a long ledger is found without reading what is before it; no answer may be taken for one of there."""
    path = tmp_path / "x.ledger"
    with Ledger.open(path, durability="none") as ledger:
        ledger.append([ev.EdgeConnected(from_topic="A", to_topic="B", owner=None)])
        for number in range(2000):
            ledger.append([ev.Mark(name=f"mark {number}")])
        ledger.append([ev.EdgeDisconnected(from_topic="A", to_topic="B", owner=None)])
    path.write_bytes(path.read_bytes().replace(b'"name":"mark 7"', b'"name":mark 7""'))
    answer = run(command, path, *LATER[command])
    assert answer.code == exits.DAMAGED, answer
    assert "is damaged after seq 8" in answer.err
    assert "2002" not in answer.out
    assert command == "history" or "seq 8" in answer.out


@pytest.mark.parametrize(
    ("command", "code"), [("log", exits.OK), ("show", exits.OK), ("sessions", exits.OK), ("verify", exits.NO)]
)
def test_a_torn_end_is_no_damage(run: Run, tmp_path: Path, command: str, code: int) -> None:
    torn(tmp_path / "x.ledger")
    assert run(command, tmp_path / "x.ledger").code == code


AS_NOBODY = """
import contextlib, io, os, sys
from ezmsg.ledger.tools import cli
command, may, may_not = sys.argv[1:]
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    for path in (may, may + "-nowhere"):
        cli.main([command, path])
if os.geteuid() == 0:  # who may read everything
    os.setuid(65534)
sys.exit(cli.main([command, may_not]))
"""
"""All modules that the command needs are loaded before: another user may not read them below root's home."""


@pytest.fixture
def forbidden() -> Iterator[Path]:
    """A ledger that may not be read, in a folder that may not be entered, in one that everybody may."""
    with tempfile.TemporaryDirectory() as folder:
        closed = Path(folder) / "closed"
        closed.mkdir()
        sound(Path(folder) / "x.ledger")
        sound(closed / "x.ledger")
        sound(Path(folder) / "open.ledger")
        (Path(folder) / "x.ledger").chmod(0)
        closed.chmod(0)
        Path(folder).chmod(0o755)
        yield Path(folder)
        closed.chmod(0o700)


@pytest.mark.parametrize("command", ["log", "show", "sessions", "verify", "receipt", "repair"])
@pytest.mark.parametrize("name", ["x.ledger", "closed/x.ledger"])
@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="no such users here")
def test_a_file_that_may_not_be_read(forbidden: Path, far_away: Path, command: str, name: str) -> None:
    asked = [sys.executable, "-c", AS_NOBODY, command, forbidden / "open.ledger", forbidden / name]
    answer = subprocess.run(asked, cwd=far_away, capture_output=True, text=True, timeout=60)
    assert answer.returncode == exits.DISK
    assert f"{forbidden / name}" in answer.stderr
    assert "Permission denied" in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize("command", ["log", "show", "sessions", "verify", "receipt", "repair"])
def test_a_folder_that_may_not_be_written_is_enough_to_look(run: Run, tmp_path: Path, command: str) -> None:
    folder = tmp_path / "archive"
    folder.mkdir()
    sound(folder / "x.ledger")
    before = sorted(os.listdir(folder))
    folder.chmod(0o500)
    try:
        assert run(command, folder / "x.ledger").code == exits.OK
        assert sorted(os.listdir(folder)) == before
    finally:
        folder.chmod(0o700)


@pytest.mark.parametrize("command", ["log", "show", "sessions", "verify", "receipt", "repair", "rotate"])
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_refused_and_not_waited_for(run: Run, tmp_path: Path, command: str) -> None:
    os.mkfifo(tmp_path / "x.ledger")
    answer = run(command, tmp_path / "x.ledger")
    assert answer.code == exits.NOT_A_LEDGER
    assert "x.ledger is not a regular file" in answer.err


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["lgo"], "there is no command 'lgo'", "Did you mean log?"),
        (["xyzzy"], "there is no command 'xyzzy'", "ezmsg-ledger --help"),
        (["log", "--folow"], "no such option", "ezmsg-ledger log --help"),
        (["log", "LEDGER", "surplus"], "unexpected extra argument", "ezmsg-ledger log --help"),
        (["log", "LEDGER", "-n", "few"], "'--lines'", "ezmsg-ledger log --help"),
        (["log", "LEDGER", "-n", "-1"], "'--lines'", "ezmsg-ledger log --help"),
        (["log", "LEDGER", "--since"], "--since", "ezmsg-ledger log --help"),
        (["log", "LEDGER", "--since", "yesterday"], "'yesterday' is not a moment", "Moments are:"),
        (["log", "LEDGER", "--type", "edges"], "no type of events 'edges'", "Did you mean edge"),
        (["log", "LEDGER", "--session", "viewr"], "no session 'viewr'", "Did you mean viewer?"),
        (["log", "LEDGER", "--follow", "--until", "end"], "--follow", "Leave one of them out"),
        (["show", "LEDGER", "--at", "999"], "there is no seq 999", "The ledger holds seq 1 (2026-11-24 13:03:20"),
        (["show", "LEDGER", "--at", "mark:basline"], "there is no mark 'basline'", "Did you mean baseline?"),
        (["show", "LEDGER", "--at", "-2d"], "before the first event", "The ledger holds seq 1"),
        (["diff"], "two moments are needed", "ezmsg-ledger diff [LEDGER|HOST:PORT] A B"),
        (["diff", "LEDGER", "end"], "two moments are needed", "ezmsg-ledger diff [LEDGER|HOST:PORT] A B"),
        (["diff", "LEDGER", "1", "2", "3"], "two moments are needed", "ezmsg-ledger diff [LEDGER|HOST:PORT] A B"),
        (["diff", "LEDGER", "-5x", "end"], "no such option", "ezmsg-ledger diff --help"),
        (["verify"], "missing argument", "ezmsg-ledger verify --help"),
        (["verify", ""], "it is empty, and not the name of a file", "ezmsg-ledger verify --help"),
        (["export", "LEDGER", "-f", "csv", "-o", ""], "it is empty", "ezmsg-ledger export --help"),
        (["fleet"], "Choose from: list, when,", "ezmsg-ledger fleet --help"),
        (["sessions", ""], "one of the words is empty", "ezmsg-ledger sessions [LEDGER]"),
    ],
)
def test_a_command_line_that_makes_no_sense(
    run: Run, night: Any, arguments: list[str], message: str, hint: str
) -> None:
    answer = run(*(night.path if each == "LEDGER" else each for each in arguments))
    assert answer.code == exits.USAGE, answer
    assert message in answer.err
    assert hint in answer.err
    assert answer.out == ""
    assert len(answer.err.splitlines()) == 2


def test_a_fault_of_ours_is_said_to_be_one(run: Run, night: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr(Ledger, "open", broken)
    answer = run("log", night.path)
    assert answer.code == exits.FAULT
    assert "Traceback" in answer.err
    assert "boom" in answer.err
    assert "Please report it" in answer.err


# --- pipes, terminals, signals ---------------------------------------------------------------------------------------


def test_a_reader_that_stops_is_no_error(night: Any, tmp_path: Path) -> None:
    path = tmp_path / "long.ledger"
    with Ledger.open(path, durability="none") as ledger:
        ledger.append([ev.Mark(name=f"mark number {number} of very many") for number in range(20_000)])
    for options in ([], ["--json"]):
        command = [*PROGRAM, "log", str(path), *options]
        program = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert program.stdout is not None
        assert program.stderr is not None
        assert program.stdout.readline()
        program.stdout.close()
        assert program.stderr.read() == b""
        program.stderr.close()
        assert program.wait(60) == exits.PIPE


@pytest.mark.parametrize("command", [["--help"], ["log", "--help"], ["log", "LEDGER"]])
def test_nor_is_one_that_stops_before_what_is_printed_in_colour(night: Any, command: list[str]) -> None:
    words = [str(night.path) if each == "LEDGER" else each for each in command]
    env = {**os.environ, "FORCE_COLOR": "1"}
    env.pop("NO_COLOR", None)
    program = subprocess.Popen([*PROGRAM, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)
    assert program.stdout is not None
    program.stdout.close()
    _, said = program.communicate(timeout=60)
    assert (program.returncode, said) == (exits.PIPE, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("options", [["log"], ["show", "--json"]])
def test_a_full_disk_behind_the_output_is_said(night: Any, options: list[str]) -> None:
    with open("/dev/full", "w") as full:
        done = console(*options, night.path, stdout=full, capture_output=False, stderr=subprocess.PIPE)
    assert done.returncode == exits.DISK
    hint = "  hint: Make room there, or write to another place.\n"
    assert done.stderr == f"ezmsg-ledger: the system refused: No space left on device\n{hint}"


@pytest.mark.skipif(sys.platform == "win32", reason="closes a handle as only POSIX shells do")
def test_a_closed_stdout_is_survived(night: Any) -> None:
    line = 'exec "$0" "$@" >&-'
    command = ["/bin/sh", "-c", line, *PROGRAM, "log", str(night.path)]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (exits.OK, "")


def test_output_in_a_pipe_is_neither_coloured_nor_wrapped(tmp_path: Path) -> None:
    path = tmp_path / "wide.ledger"
    topic = "SYSTEM/" + "VERY_LONG_NAME_OF_A_UNIT/" * 12 + "OUTPUT"
    with Ledger.open(path) as ledger:
        ledger.append([ev.EdgeConnected(from_topic=topic, to_topic="B", owner=None)])
    for command in (["log"], ["show"], ["diff", "0", "1"]):
        name, *rest = command
        done = console(name, path, *rest, env={"COLUMNS": "80"})
        assert any(topic.rpartition("/")[0] in line for line in done.stdout.splitlines()), done.stdout
        assert "\x1b" not in done.stdout


def test_colour_can_be_asked_for_and_forbidden(run: Run, night: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = run("log", night.path).out
    monkeypatch.setenv("FORCE_COLOR", "1")
    coloured = run("log", night.path).out
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == plain != coloured
    monkeypatch.setenv("NO_COLOR", "1")
    assert run("log", night.path).out == plain


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_a_terminal_gets_colour_and_whole_lines(night: Any) -> None:
    import pty

    main, terminal = pty.openpty()
    env = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "EZMSG_LEDGER")}
    env["TERM"] = "xterm"
    program = subprocess.Popen([*PROGRAM, "log", str(night.path), "-n", "1"], stdout=terminal, env=env)
    os.close(terminal)
    said = b""
    while True:
        try:
            piece = os.read(main, 4096)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        said += piece
    os.close(main)
    assert program.wait(60) == exits.OK
    assert b"\x1b[1mserver stopped" in said


def test_names_cannot_play_tricks_on_a_terminal(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "evil.ledger"
    evil = "A\x1b[2J\r\nB\u202e"
    with Ledger.open(path) as ledger:
        ledger.append([ev.SessionOpened(uuid="x", label=evil)])
        ledger.append([ev.EdgeConnected(from_topic=evil, to_topic="B", owner=1)])
        ledger.append([ev.Mark(name=evil, note=evil)])
    for command in (["log"], ["show"], ["sessions"], ["diff", "0", "3"], ["show", "--at", "mark:\x1b[2J"]):
        name, *rest = command
        answer = run(name, path, *rest)
        shown = answer.out + answer.err
        assert "\x1b" not in shown
        assert "\u202e" not in shown
        assert "\r" not in shown
        assert "\\x1b[2J" in shown


def test_names_that_the_terminal_cannot_show_are_escaped(tmp_path: Path) -> None:
    path = tmp_path / "x.ledger"
    with Ledger.open(path) as ledger:
        ledger.append([ev.Mark(name="μV \U0001f9e0")])
    done = console("log", path, env={"PYTHONIOENCODING": "ascii"})
    assert done.returncode == exits.OK
    assert "\\u03bcV \\U0001f9e0" in done.stdout
    raw = console("log", path, "--json", env={"PYTHONIOENCODING": "ascii"}, text=False)
    assert json.loads(raw.stdout)["name"] == "μV \U0001f9e0"


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C cannot be sent to one process there")
def test_ctrl_c_ends_quietly(tmp_path: Path) -> None:
    path = tmp_path / "x.ledger"
    with Ledger.open(path) as ledger:
        ledger.append([ev.Mark(name="before")])
        command = [*PROGRAM, "log", str(path), "--follow"]
        program = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert program.stdout is not None
        assert program.stderr is not None
        assert "before" in program.stdout.readline()
        program.send_signal(signal.SIGINT)
        assert program.wait(60) == exits.INTERRUPTED
        assert program.stderr.read() == ""
        program.stdout.close()
        program.stderr.close()
