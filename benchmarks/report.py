"""The report as a page of Markdown."""

from collections.abc import Iterable, Sequence

from benchmarks import machine
from benchmarks.harness import Section, Setting, times

INTRODUCTION = """\
# Benchmarks

Made by `python -m benchmarks --write docs/benchmarks.md`; do not edit. `make bench` prints the same for your machine.
A section that says when it was measured was put in later, by `--only NAME --into docs/benchmarks.md`.

Contenders take turns, in one run (A B A B ...). A figure is the median of its rounds, with the lowest and the highest
after it; a ratio is that of two runs of the same round. Hold on to the ratios: absolute figures drift with the machine
and the hour.
"Our speed beside it" is how many times as fast ezmsg-ledger is: above 1, it is faster.

The workload is 62 % connects, 37 % disconnects, and 1 % sessions that open or close, with topics like
`SYSTEM/UNIT12/OUTPUT`, some 80 sessions open and about 4,000 edges held at a time; the same events on every run."""

QUICK = "**A quick run: it shows that everything works, and its figures mean nothing.**"


def write(sections: Sequence[Section], setting: Setting) -> str:
    """The whole page: machine, aims, one table per section."""
    parts = [INTRODUCTION]
    if setting.quick:
        parts.append(QUICK)
    facts = [*machine.describe(setting.folder), ("rounds", str(setting.rounds))]
    parts += ["## Machine", table(("", ""), facts), "## Aims", _aims(sections, judge=not setting.quick)]
    parts += map(_part, sections)
    return "\n\n".join(parts) + "\n"


def put_in(page: str, sections: Sequence[Section]) -> str:
    """A page with these sections in place of its own of the same titles, or after all others.

    Aims of such a section begin with its title in the aims' table, so that they are found there.
    """
    for section in sections:
        prefix = f"{section.title.lower()}: "
        assert all(aim.what.startswith(prefix) for aim in section.aims), section.title
        before, head, after = page.partition("\n## Aims\n")
        aims, following, rest = after.partition("\n## ")
        lines = aims.rstrip().splitlines()
        old = [number for number, line in enumerate(lines) if line.startswith(f"| {prefix}")]
        place = old[0] if old else len(lines)
        lines = [line for number, line in enumerate(lines) if number not in old]
        lines[place:place] = [_line(row) for row in _rows([section], judge=True)]
        parts = (following + rest).split("\n## ")[1:]
        titles = [part.partition("\n")[0] for part in parts]
        place = titles.index(section.title) if section.title in titles else len(parts)
        parts[place : place + 1] = [_part(section).removeprefix("## ") + "\n"]
        page = "\n## ".join([before + head + "\n".join(lines) + "\n", *parts])
    return page


def _part(section: Section) -> str:
    return "\n\n".join([f"## {section.title}", section.about, table(section.columns, section.rows)])


def compared(section: Section, setting: Setting) -> str:
    """The table of one build beside another, with the machine that it was taken on."""
    facts = [*machine.describe(setting.folder), ("rounds", str(setting.rounds))]
    parts = [f"# {section.title}", *([QUICK] if setting.quick else []), section.about, table(("", ""), facts)]
    return "\n\n".join([*parts, table(section.columns, section.rows)]) + "\n"


def _aims(sections: Iterable[Section], judge: bool) -> str:
    return table(("", "aim", "measured", ""), _rows(sections, judge))


def _rows(sections: Iterable[Section], judge: bool) -> list[tuple[str, str, str, str]]:
    return [
        (aim.what, aim.asked, aim.ratio.written(times), ("met" if aim.met else "**not met**") if judge else "")
        for section in sections
        for aim in section.aims
    ]


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(map(_line, lines))


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
