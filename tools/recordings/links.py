"""The settings in a ledger that name a recording: the path that its writer got, the stream that it was sent as."""

import re
from collections.abc import Iterable, Iterator
from pathlib import PurePath
from typing import Any

import msgspec

from ezmsg.ledger.projections.lifetimes.columns import Fact
from ezmsg.ledger.projections.lifetimes.spans import OPEN
from ezmsg.ledger.tools.recordings.recording import Recording
from ezmsg.ledger.values import Form, fields_of, is_map, is_structured, plain_of, tag_of

_PATH = re.compile(r"(?:Posix|Windows|PurePosix|PureWindows)?Path\((['\"])(.*)\1\)", re.DOTALL)
"""A path as ezmsg shows it."""

_PART = re.compile(r"_\d{2,}$")
"""The ending that ezmsg-nwb adds to the name of a file that it goes on with."""

PATH, NAME, STREAM, FOLDER = "the path", "the name", "the stream", "the folder"
"""The parts of a recording that a setting can name; the first is the surest."""

_ORDER = (PATH, NAME, STREAM, FOLDER)


class Link(msgspec.Struct, frozen=True):
    """A setting that names a recording: ``field`` of ``unit`` has ``text``, after the events ``born`` to ``last``.

    ``what`` of the recording it names; ``last`` is None while it lasts. ``clock``: the clock that the same settings say
    the stamps are of, None where they do not.
    """

    unit: str
    field: str
    text: str
    what: str
    born: int
    last: int | None
    clock: str | None


def searched(recording: Recording) -> list[str]:
    """The texts of which a setting has one in it that names a recording."""
    here = recording.path.absolute()
    return [
        text for text in dict.fromkeys([here.stem, _whole(here.stem), here.parent.name, *recording.streams]) if text
    ]


def links(recording: Recording, settings: Iterable[Fact]) -> list[Link]:
    """The links of a recording in settings values, the surest kind alone. Cost: O(fields of the values)."""
    found = []
    for fact in settings:
        form = fact.value[0]
        last = None if fact.died == OPEN else fact.died - 1
        for path, text in _texts(form, ""):
            if what := _names(recording, path, text):
                found.append(Link(fact.name, path, text, what, fact.born, last, _clock(form)))
    best = min((_ORDER.index(link.what) for link in found), default=0)
    return [link for link in _joined(found) if _ORDER.index(link.what) == best]


def _joined(found: list[Link]) -> list[Link]:
    """Links of one setting that follow one another, as one."""
    out: dict[tuple[str, str, str], list[Link]] = {}
    for link in found:
        same = out.setdefault((link.unit, link.field, link.text), [])
        if same and same[-1].last is not None and same[-1].last + 1 == link.born:
            same[-1] = msgspec.structs.replace(same[-1], last=link.last)
        else:
            same.append(link)
    return sorted((link for each in out.values() for link in each), key=lambda link: link.born)


def _texts(form: Form, path: str) -> Iterator[tuple[str, str]]:
    """Every text in a settings value, with its dotted path."""
    plain: Any = plain_of(form) if tag_of(form) == "o" else form
    if isinstance(plain, str):
        yield path, plain
    elif is_map(plain) or is_structured(plain):
        for name, item in fields_of(plain).items():
            yield from _texts(item, f"{path}.{name}" if path else name)


def _names(recording: Recording, path: str, text: str) -> str:
    """The part of a recording that a text names: one of PATH and so on; "" for none."""
    last = path.rpartition(".")[2]
    if text in recording.streams and last in ("stream_name", "name"):
        return STREAM
    shown = _PATH.fullmatch(text)
    text = shown[2] if shown else text
    if not text or "\n" in text or not (shown or "/" in text or "\\" in text or "path" in last or "file" in last):
        return ""
    named, here = PurePath(text), recording.path.absolute()
    whole = here.with_name(_whole(here.stem) + here.suffix)
    if named in (here, whole, here.with_suffix(""), whole.with_suffix("")):
        return PATH
    if named.name in (here.name, whole.name, here.stem, whole.stem):
        return NAME
    return FOLDER if named == here.parent and shown is not None else ""


def _whole(stem: str) -> str:
    """The stem of a file's name without the number of a part."""
    return _PART.sub("", stem)


def _clock(form: Form) -> str | None:
    """The clock that settings of ezmsg-nwb's sink name: system, monotonic or unknown."""
    found = fields_of(form).get("inc_clock") if is_map(form) else None
    if not isinstance(found, str):
        return None
    name = re.split(r"[.:<> ']+", found.lower())
    return next((each for each in ("monotonic", "unknown", "system") if each in name), None)
