"""An answer in SQL, printed: as a table for people, as JSON, or as CSV."""

import csv
import io
from datetime import UTC, datetime
from typing import Any

from ezmsg.ledger.projections.questions.moments.times import time_text
from ezmsg.ledger.tools.fleet.sql.question import BadQuestion, Question
from ezmsg.ledger.tools.output import Page, table

ROWS_SHOWN = 100
"""Rows of a table for people; --full, --json and --csv give all."""

EXPLAINED = ["explain_key", "explain_value"]
"""The columns of a plan, which is a drawing."""

NULL = "NULL"


def print_table(page: Page, question: Question, full: bool) -> None:
    """Print the answer for people: times in their zone."""
    names = [column.name for column in question.columns]
    if names == EXPLAINED:
        for _, text in question.rows():
            for line in text.splitlines():
                page.line(line)
        return
    rows = [[_shown(value) for value in row] for row in question.rows(None if full else ROWS_SHOWN + 1)]
    more = not full and len(rows) > ROWS_SHOWN
    head, *lines = table([names, *(rows[:ROWS_SHOWN] if more else rows)])
    page.line(("head", head))
    for line in lines:
        page.line(line)
    if more:
        page.line(("dim", "... and more rows (--full, --json, --csv)"))


def print_json(page: Page, question: Question) -> None:
    """Print the answer as one document: ``columns``, and ``rows`` with a field for each of them."""
    names = [column.name for column in question.columns]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise BadQuestion(f"several columns are called {', '.join(twice)}", hint="Give each a name of its own: AS.")
    rows = ({name: _plain(value) for name, value in zip(names, row, strict=True)} for row in question.rows())
    page.document_in_turn({"columns": [column._asdict() for column in question.columns]}, "rows", rows, {})


def print_csv(page: Page, question: Question) -> None:
    """Print the answer as CSV in UTF-8 (RFC 4180), below a line of names. What is null is empty."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([column.name for column in question.columns])
    for row in question.rows():
        writer.writerow(["" if value is None else _text(_plain(value)) for value in row])
        if text.tell() > FLUSH_AT:
            page.data(text.getvalue().encode("utf-8"))
            text.seek(0)
            text.truncate()
    page.data(text.getvalue().encode("utf-8"))


FLUSH_AT = 65_536
"""Characters that are held before they are printed."""


def _shown(value: Any) -> str:
    if value is None:
        return NULL
    if isinstance(value, datetime) and value.tzinfo is not None:
        return time_text(round(value.timestamp() * 1_000_000) * 1000)
    return _text(value if not isinstance(value, list | dict | tuple | bytes) else _plain(value))


def _text(value: Any) -> str:
    """A value in one cell: a text as it is, what is nested as JSON."""
    import msgspec

    if isinstance(value, bool):
        return "true" if value else "false"
    return msgspec.json.encode(value).decode("utf-8") if isinstance(value, list | dict) else str(value)


def _plain(value: Any) -> Any:
    """A value as JSON has it: times in UTC, keys as texts, bytes as text with escapes."""
    if isinstance(value, datetime):
        return (value.astimezone(UTC) if value.tzinfo is not None else value).isoformat().replace("+00:00", "Z")
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {key if isinstance(key, str) else str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, bytes):
        return value.decode("ascii", "backslashreplace")
    return value
