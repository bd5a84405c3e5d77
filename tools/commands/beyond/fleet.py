"""``fleet``: questions to the ledgers of many rigs at once."""

import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import click

from ezmsg.ledger.errors import LedgerError, UnknownMoment, UnknownSubject
from ezmsg.ledger.projections.questions.moments.times import span_text, time_text
from ezmsg.ledger.projections.questions.predicates import parse
from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.exits import Misuse
from ezmsg.ledger.tools.fleet.reading.rigs import Rig, history, newest, rigs_at, standing
from ezmsg.ledger.tools.input import options
from ezmsg.ledger.tools.input.options import FILE, argument, flag, option
from ezmsg.ledger.tools.output import Page, table
from ezmsg.ledger.tools.text.comparison import NamedComparison, print_changes
from ezmsg.ledger.tools.text.documents import Document, answer_document, moment_document
from ezmsg.ledger.wording import count

EDGES_MAX = 20
ROWS_MAX = 12
"""Lines of a rig, or of a group of changes, that are shown without --full."""

ASKED = {"list": 0, "when": 1, "show": 0, "diff": 2, "sql": 1}
"""The questions that can be asked, and how many words each has."""

_USAGE = (
    "ezmsg-ledger fleet list|when|show|diff|sql WHERE ..., WHERE being nats://HOST:PORT/STREAM or a folder of ledgers."
)


@argument("what", "|".join(ASKED), "What to ask.", required=True, type=click.Choice(list(ASKED)))
@argument("where", "WHERE", "A stream, nats://HOST:PORT/STREAM, or a folder of ledgers.", required=True)
@argument("words", "...", "A predicate for `when`, two rigs for `diff`, a SELECT for `sql`.", nargs=-1)
@option("--at", metavar="MOMENT", default="end", help="The moment to look at, such as a time that all rigs share.")
@flag("--full", help="Every edge, all changes, all rows.")
@option("--cache", metavar="FOLDER", type=FILE, help="For `sql`: keep what is fetched and its tables here.")
@flag("--csv", help="For `sql`: the rows as CSV.")
@options.json
def fleet(
    what: str,
    where: str,
    words: Sequence[str],
    at: str,
    full: bool,
    cache: Path | None,
    csv: bool,
    json: bool,
) -> int:
    """Asks the ledgers of all rigs at once, in a stream that they were shipped to (extra: fleet) or in a folder.

    `list` tells how each is: its last event, and whether it records. `when` finds the rigs in which a predicate ever
    held, and since when. `show` gives the graphs of all rigs at one time. `diff` compares two of them by names. `sql`
    asks DuckDB (extra: sql) about the tables events, sessions, edges, settings and ledgers, in which each row has the
    name of its rig and the id of its ledger. A ledger that cannot be read, or not to its end, is named, and the exit
    code is 4; the others are told.

    Examples:
      ezmsg-ledger fleet list nats://127.0.0.1:4222/LEDGERS
      ezmsg-ledger fleet when nats://127.0.0.1:4222/LEDGERS 'edge SYSTEM/SOURCE/OUT -> SYSTEM/AMP/IN'
      ezmsg-ledger fleet show . --at 14:03:21
      ezmsg-ledger fleet diff . rig run
      ezmsg-ledger fleet sql . 'SELECT rig, label, max(ended - began) FROM sessions GROUP BY ALL' --cache ~/.fleet
    """
    page = Page()
    wanted = ASKED[what]
    if len(words) != wanted:
        raise Misuse(f"fleet {what} takes {count(wanted, 'word')} after WHERE, not {len(words)}", hint=_USAGE)
    if what == "sql":
        return _sql(page, where, words[0], cache, full, json, csv)
    if cache is not None or csv:
        raise Misuse("--cache and --csv are for `fleet sql`", hint=_USAGE)
    rigs = rigs_at(where)
    if what == "list":
        return _list(page, rigs, json)
    if what == "when":
        return _when(page, rigs, words[0], at, json)
    if what == "show":
        return _show(page, rigs, at, full, json)
    return _diff(page, newest(rigs, words[0]), newest(rigs, words[1]), at, full, json)


def _list(page: Page, rigs: list[Rig], json: bool) -> int:
    found = [standing(rig) for rig in rigs]
    if json:
        page.document([{**each._asdict(), "rig": each.rig.document} for each in found])
    else:
        now = time.time_ns()
        rows = []
        for each in found:
            state = "records" if each.recording else "has ended" if not each.run else "has stopped"
            holds = f"{count(each.sessions, 'session')}, {count(each.edges, 'edge')}"
            ago = f"{span_text(now - each.time)} ago" if each.seq else "empty"
            last = [f"seq {each.seq}", ago, state, holds] if not each.trouble else ["", "", "CANNOT BE READ", ""]
            rows.append([each.rig.name, each.rig.id[:8], *last])
        for line in table(rows):
            page.line(line)
        for each in found:
            if each.trouble:
                page.note(f"{each.rig.name}: {each.trouble}")
    return exits.DAMAGED if any(each.trouble for each in found) else exits.OK


def _when(page: Page, rigs: list[Rig], text: str, at: str, json: bool) -> int:
    predicate = parse(text)
    documents, rows, trouble = [], [], False
    for rig in rigs:
        try:
            with history(rig) as timeline:
                answer = timeline.when(predicate, at)
                documents.append({"name": rig.name, **answer_document(timeline, answer)})
                damaged = timeline.damage
        except UnknownMoment:
            rows.append([rig.name, "was not recorded then", ""])
            documents.append({"name": rig.name, "spans": [], "now": False})
            continue
        except UnknownSubject:
            rows.append([rig.name, "never: nothing has such a name there", ""])
            documents.append({"name": rig.name, "spans": [], "now": False})
            continue
        except LedgerError as error:
            page.note(f"{rig.name}: {error}")
            trouble = True
            continue
        if damaged is not None:
            page.note(f"{rig.name}: {damaged}")
            trouble = True
        if not answer.spans:
            rows.append([rig.name, "never", ""])
            continue
        first = answer.spans[0]
        held = f"{count(len(answer.spans), 'time')}, {span_text(answer.ns)} in all"
        held += "; now too" if answer.now else "; not now"
        rows.append([rig.name, f"from seq {first.born}, {time_text(first.born_time)}", held])
    if json:
        page.document(documents)
    else:
        for line in table(rows):
            page.line(line)
    return exits.DAMAGED if trouble else exits.OK


def _show(page: Page, rigs: list[Rig], at: str, full: bool, json: bool) -> int:
    documents: list[Document] = []
    trouble = False
    for rig in rigs:
        try:
            with history(rig) as timeline:
                moment = timeline.moment(at)
                state = timeline.at(moment)
        except UnknownMoment as error:
            documents.append({"name": rig.name, "moment": None, "edges": []})
            if not json:
                page.line(("head", rig.name), f": {error}")
            continue
        except LedgerError as error:
            page.note(f"{rig.name}: {error}")
            trouble = True
            continue
        edges = sorted(edge for edge, _ in state.ownership.edges())
        shown = [{"from_topic": source, "to_topic": target} for source, target in edges]
        run = None if state.run is None else state.run[1].name
        about = {"name": rig.name, "id": timeline.ledger.id, "moment": moment_document(moment), "run": run}
        documents.append({**about, "sessions": len(state.sessions), "edges": shown})
        if not json:
            on = "no run" if run is None else f'run "{run}"'
            holds = f"{on}, {count(len(state.sessions), 'session')}, {count(len(edges), 'edge')}"
            page.line(("head", rig.name), f" at seq {state.seq}, {time_text(state.time)}: {holds}")
            page.some(
                [f"{source} -> {target}" for source, target in edges], None if full else EDGES_MAX, "more (--full)"
            )
    if json:
        page.document(documents)
    return exits.DAMAGED if trouble else exits.OK


def _diff(page: Page, a: Rig, b: Rig, at: str, full: bool, json: bool) -> int:
    with history(a) as one, history(b) as other:
        comparison = NamedComparison(one.compare(one.moment(at), other.moment(at), other), full)
        if json:
            page.document({"a": a.document, "b": b.document, "same": not comparison, **comparison.document()})
            return exits.OK
        page.line(("head", f"from {a.name} to {b.name}"))
        print_changes(page, comparison, None if full else ROWS_MAX, "--full")
        if not comparison:
            page.line("no difference")
    return exits.OK


def _sql(page: Page, where: str, sql: str, cache: Path | None, full: bool, json: bool, csv: bool) -> int:
    from ezmsg.ledger.tools.fleet.reading.copies import copied  # DuckDB is loaded for this question alone
    from ezmsg.ledger.tools.fleet.sql.database import Database, require_extra
    from ezmsg.ledger.tools.fleet.sql.printing import print_csv, print_json, print_table
    from ezmsg.ledger.tools.fleet.sql.question import Question, check, tables_in

    if json and csv:
        raise Misuse("--json and --csv are two answers", hint="Leave one of them out.")
    require_extra()
    check(sql)
    with ExitStack() as stack:
        folder = _cache(cache) if cache else Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fleet-")))
        rigs, trouble = copied(where, folder)
        path = folder / "fleet.duckdb"
        with Database(path, page.progress) as database:
            database.fill(rigs, tables_in(sql))
            trouble += [each for each in database.trouble if each not in trouble]
        with Question(path, sql) as question:
            if json:
                print_json(page, question)
            elif csv:
                print_csv(page, question)
            else:
                print_table(page, question, full)
    for each in trouble:
        page.note(each)
    return exits.DAMAGED if trouble else exits.OK


def _cache(folder: Path) -> Path:
    folder = folder.expanduser()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
