"""``why``: who made something so, and who ended it."""

from collections.abc import Sequence

from ezmsg.ledger.projections.questions import predicates
from ezmsg.ledger.projections.questions.answers import Life, Why
from ezmsg.ledger.projections.questions.moments.moments import Moment
from ezmsg.ledger.projections.questions.subjects import KINDS
from ezmsg.ledger.tools.input import options
from ezmsg.ledger.tools.input.arguments import taken_apart
from ezmsg.ledger.tools.input.location import asked_moment, opened
from ezmsg.ledger.tools.input.options import flag
from ezmsg.ledger.tools.output import Page
from ezmsg.ledger.tools.text.documents import answer_document
from ezmsg.ledger.tools.text.phrases import how_text
from ezmsg.ledger.tools.text.setting_lines import REPLACED, origin
from ezmsg.ledger.tools.text.span_lines import SpanLines
from ezmsg.ledger.tools.text.value_text import ITEMS_MAX, settings_text

_USAGE = "ezmsg-ledger why [LEDGER] FROM TO, such as: ezmsg-ledger why run.ledger SYSTEM/AMP/OUT SYSTEM/LOG/IN"


def subject_text(words: Sequence[str]) -> str:
    """The subject that some words name, as the library has it: ``A -> B`` for two topics, else as it stands."""
    if len(words) == 2 and words[0] not in KINDS and "->" not in "".join(words):
        return f"{_quoted(words[0])} -> {_quoted(words[1])}"
    return " ".join(words)


def _quoted(name: str) -> str:
    return f'"{name}"' if " " in name else name


@options.words("[LEDGER] FROM TO", "The ledger, and an edge; or KIND NAME.")
@options.at("The moment to ask about.")
@flag("--full", help="Whole values and lists, and all nanoseconds.")
@options.json
def why(words: Sequence[str], at: str, full: bool, json: bool) -> None:
    """Says of an edge who connected it, when, and who else holds it; or, when it is not there, who disconnected it, or
    which session ended that held it, and how. The edge can be given as FROM TO, or as 'FROM -> TO'.

    Other things are named with their kind: topic T, session S, setting UNIT, unit UNIT (the process that runs it),
    process ID, endpoint ID.

    Examples:
      ezmsg-ledger why run.ledger SYSTEM/AMP/OUT SCOPE
      ezmsg-ledger why run.ledger 'SYSTEM/FILTER/OUT -> VIEWER/IN' --at mark:baseline
      ezmsg-ledger why run.ledger unit SYSTEM/AMP --json
    """
    page = Page()
    path, asked = taken_apart(words, 1, 2, "an edge, or a kind and a name, is needed", _USAGE)
    with opened(path, page) as timeline:
        moment = asked_moment(timeline, at)
        answer = timeline.why(subject_text(asked), moment)
        if json:
            page.document(answer_document(timeline, answer))
        else:
            _print(SpanLines(page, timeline, full), answer)


def _print(lines: SpanLines, answer: Why) -> None:
    page, moment = lines.page, answer.moment
    state = "is" if answer.holds else "is not"
    page.line(("head", answer.subject), f" {state} there at seq {moment.seq}{how_text(moment)}")
    if answer.lives and not answer.holds:
        page.line("before that it was:")
    for life in answer.lives:
        tell(lines, life, moment, answer.subject)
    if answer.next is not None:
        page.line(("dim", "  it came again later:" if answer.lives else "  nor was it before; it came later:"))
        lines.cause(answer.next)
    elif not answer.lives:
        page.line("  nor was it ever")
        if predicates.pair(answer.subject) is not None:
            page.line("  (both topics are known; whether a way led over others: ezmsg-ledger path FROM TO)")


def tell(lines: SpanLines, life: Life, moment: Moment, subject: str, what: str | None = None) -> None:
    """A life as it was at a moment: what (its title), for how long, and the events at its two ends."""
    gone = life.ended is not None and life.died is not None and life.died <= moment.seq
    ended = (life.until, life.ended) if gone and life.ended is not None else (moment.seq, moment.time)
    passed = lines.timeline.landmarks.readings.elapsed(life.born, life.came.time, *ended)
    lines.stretch(what or title(lines, life, subject), max(0, passed.ns), gone, passed.clock)
    if life.kind == "setting":
        lines.deed(life.came, origin(lines, life.came))
    else:
        lines.cause(life.came)
    if gone and life.went is not None and (what is None or life.went.kind not in REPLACED):
        lines.cause(life.went, life.ended)


def title(lines: SpanLines, life: Life, subject: str) -> str:
    """The words for a life, where ``subject`` has been named already."""
    match life.kind, life.value:
        case "edge", _:
            who = f"held by {life.label if life.owner is None else f'session {life.label}'}"
            return who if life.name == subject else f"{life.name} {who}"
        case "session", [label, peer, _]:
            named = f' "{label}"' if label else ""
            return f"session {life.name}{named}" + (f" from {peer}" if peer else "")
        case "process", [pid, host, *_] if pid is not None:
            return f"process {life.name} (pid {pid}{f' on {host}' if host else ''})"
        case "endpoint", ["channel", _, publisher, _]:
            return f"channel {life.name} to publisher {publisher}"
        case "endpoint", [kind, topic, *_]:
            return f"{kind} {life.name} of {topic}"
        case "setting", _:
            value = lines.timeline.at(life.born).settings[life.name].value
            return settings_text(value, None if lines.full else ITEMS_MAX, whole=lines.full) or "no fields"
        case "unit", process:
            return f"in process {process}"
        case "registration", _:
            return "its components"
        case "stall", _:
            return "stalled"
    return f"{life.kind} {life.name}"
