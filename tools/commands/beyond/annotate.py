"""``annotate``: a copy of a data file that has in it which settings and wiring made its samples."""

from pathlib import Path

from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.commands.beyond.in_force import block_seconds
from ezmsg.ledger.tools.input import options
from ezmsg.ledger.tools.input.location import opened, shortened
from ezmsg.ledger.tools.input.options import FILE, argument, flag, option
from ezmsg.ledger.tools.output import Page
from ezmsg.ledger.tools.recordings.annotation import Annotated, write_copy
from ezmsg.ledger.tools.recordings.laid import Laid
from ezmsg.ledger.tools.recordings.recording import read
from ezmsg.ledger.wording import count


@argument("data", "FILE", "The data file: .nwb or raw .fif.", required=True, type=FILE)
@options.ledger
@option("--output", "-o", metavar="OUT", required=True, type=FILE, help="Where to write the copy.")
@option("--series", metavar="NAME", help="The series that the tables are laid on; the longest by default.")
@option("--block", metavar="SPAN", help="The length of a block of samples, where the settings do not tell.")
@flag("--force", help="Also where nothing in the ledger names the file.")
@options.json
def annotate(
    data: Path, ledger: Path | None, output: Path, series: str | None, block: str | None, force: bool, json: bool
) -> int:
    """Writes a copy of a data file with tables of the settings that made its samples, of the wiring, and of marks,
    which the format's own programs show; the file itself stays as it is. NWB gets tables (`intervals/ledger_settings`
    and others), which `verify --ledger` checks later; FIF gets annotations. What is wrong with the clock of the file
    is said.

    A file that nothing in the ledger names is refused, with exit code 1, unless --force is given.

    Examples:
      ezmsg-ledger annotate monday.nwb -o monday-annotated.nwb
      ezmsg-ledger annotate monday_raw.fif monday.ledger -o monday-annotated_raw.fif
    """
    page = Page()
    recording = read(data, series)
    with opened(ledger, page) as timeline:
        made = write_copy(Laid(recording, timeline), output, force=force, block=block_seconds(block))
    if json:
        answer = made.answer
        page.document(
            {
                "path": str(made.path),
                "data": str(data),
                "ledger": answer.ledger,
                "id": answer.id,
                "rows": made.rows,
                "sureness": answer.sureness,
                "error": answer.error,
                "how": answer.how,
                "clock_wrong": answer.clock_wrong,
                "notes": made.notes,
                "doubts": answer.doubts,
            }
        )
    else:
        _print(page, made)
    return exits.OK


def _print(page: Page, made: Annotated) -> None:
    page.line(
        ("head", f"wrote {shortened(str(made.path.absolute()))}"), f", laid {made.answer.sureness}: {made.answer.how}"
    )
    for name, rows in made.rows.items():
        page.line(f"  {name}: {count(rows, 'row')}")
    for wrong in made.answer.clock_wrong:
        page.line(("warn", "  wrong with the file's clock: "), wrong)
    if made.answer.clock_wrong:
        page.line("  its tables have the times of the samples as they stand; wall_ns has the true time of each row")
    for note in made.notes:
        page.line(f"  {note}")
    for doubt in made.answer.doubts:
        page.line(("warn", "  not known: "), doubt)
