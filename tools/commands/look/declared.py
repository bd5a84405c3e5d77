"""``diff --declared``: what a program declares, beside what registered and what runs."""

from collections.abc import Sequence
from pathlib import Path

from ezmsg.ledger.projections.questions.baselines.declared import (
    NEVER,
    NOWHERE,
    OTHER,
    UNDECLARED,
    Departure,
    departures,
)
from ezmsg.ledger.projections.questions.moments.last_built import WIRES, last_built
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.input.inspected import CannotInspect, inspected
from ezmsg.ledger.tools.input.location import asked_moment, opened
from ezmsg.ledger.tools.output import Page
from ezmsg.ledger.tools.text.documents import ledger_document, moment_document
from ezmsg.ledger.tools.text.phrases import how_text
from ezmsg.ledger.tools.text.value_text import values_text
from ezmsg.ledger.wording import count

_SIGNS = {NEVER: ("-", "drop"), NOWHERE: ("!", "warn"), OTHER: ("~", "change"), UNDECLARED: ("+", "add")}
_WORDS = {
    NEVER: "declared, and never came up",
    NOWHERE: "registered, and runs in no process",
    UNDECLARED: "registered, and not declared",
}


def compare_declared(
    page: Page, path: Path | None, moments: Sequence[str], program: Path, run: bool, full: bool, json: bool
) -> int:
    """Print the departures of a ledger from what a program declares; returns 1 where more than a setting departs."""
    document = inspected(program, page, run=run)
    with opened(path, page) as timeline:
        moment = asked_moment(timeline, moments[0] if moments else _built(timeline))
        state = timeline.at(moment)
        try:
            found = departures(document, state)
        except (KeyError, TypeError, AttributeError) as error:
            raise CannotInspect(
                f"what ezmsg says of {program} is not understood: {error!r}", hint="It may be of a newer version."
            ) from error
        if json:
            page.document(
                {
                    **ledger_document(timeline),
                    "declared": str(program),
                    "moment": moment_document(moment),
                    "same": not found,
                    "departures": [each.to_dict() for each in found],
                }
            )
        else:
            said = count(len(found), "departure") if found else "as declared"
            page.line(("head", said), f" in {program}, at seq {moment.seq}{how_text(moment)}")
            for each in found:
                sign, tone = _SIGNS[each.kind]
                page.line("  ", (tone, f"{sign} {_text(each, full)}"))
        page.note_unknown(state.unknown)
        return exits.NO if any(each.kind != OTHER for each in found) else exits.OK


def _built(timeline: Timeline) -> str:
    """The end while it is recorded; else the last moment before the graph was torn down."""
    ledger = timeline.ledger
    return "end" if ledger.being_written or not ledger.head else str(last_built(ledger, ledger.head, WIRES))


def _text(each: Departure, full: bool) -> str:
    if each.kind != OTHER:
        return f"{each.address}: {_WORDS[each.kind]}"
    return f"{each.address}.{each.field}  declared {values_text(each.declared, each.found, whole=full)}"
