"""Commits of one event each, checked many at once.

All of such a commit line follows from what stands before it, but for its hash and how far the file was durable. So the
lines are not decoded: those that must stand there are written, as copies of the last one into which the digits of each
are put, and compared with those that do. The idea that makes it quick: lines of one length, laid end to end, are a
table, and a column of it is a slice with a step. Digits go in a column at a time, for all lines at once; hashes are
brought to a multiple of eight bytes and copied as eight columns of such words.
"""

import re
from itertools import accumulate, count
from operator import add, le

import msgspec

from ezmsg.ledger.storage.reading.scan import Place
from ezmsg.ledger.structural import COMMIT_PREFIX

_LINE = re.compile(
    re.escape(COMMIT_PREFIX) + rb'"upto":(\d{1,19}),"count":1,"at":(\d{1,19}),"synced":(\d{1,19}),"sha256":"(.{64})"\}'
)
_UPTO, _AT, _SYNCED, _HASH = 1, 2, 3, 4

_WORD = 8
_HASH_WORDS = 64 // _WORD
_HEX = b"0123456789abcdef"
_encoder = msgspec.json.Encoder()
_integers = msgspec.json.Decoder(list[int])


def lines_of_events(data: bytes | memoryview, place: Place) -> list[bytes] | None:
    """The lines of the events in ``data``, which stood after ``place``, each followed by its commit line.

    None when these are not byte for byte what a writer would have written there, or when their lengths differ, as they
    do once in a while, where a number gets a digit more. Events are not looked at. Cost: 0.4 us for each.
    """
    lines = bytes(data).split(b"\n")  # no name keeps the copy: with it, each piece would ask the system for memory
    if lines.pop() or not lines or len(lines) % 2:
        return None
    events, found = lines[::2], lines[1::2]
    number, last = len(found), found[-1]
    form = _LINE.fullmatch(last)
    if form is None or int(form[_UPTO]) != place.seq + number:
        return None
    lead = -form.start(_HASH) % _WORD  # bytes before each line that bring its hash to a whole word
    between = b"\n" + bytes(-(lead + len(last) + 1) % _WORD + lead)
    end = between[: len(between) - lead]
    row = bytes(lead) + last + end
    found[0] = bytes(lead) + found[0]  # put there before they are joined: no copy of all of it is made for that
    found[-1] += end
    given = between.join(found)
    if len(given) != number * len(row):
        return None
    ats = list(map(add, accumulate(map(len, events)), count(place.offset + 1, len(last) + 2)))
    upto, at, synced = (slice(lead + form.start(group), lead + form.end(group)) for group in (_UPTO, _AT, _SYNCED))
    wanted = bytearray(row) * number
    if not (
        _put(wanted, len(row), upto, list(range(place.seq + 1, place.seq + 1 + number)))
        and _put(wanted, len(row), at, ats)
        and _take_over(wanted, given, len(row), synced, ats)
    ):
        return None
    there, right = memoryview(given).cast("Q"), memoryview(wanted).cast("Q")
    step, begin = len(row) // _WORD, (lead + form.start(_HASH)) // _WORD
    hashes = [there[column::step] for column in range(begin, begin + _HASH_WORDS)]
    for column, words in enumerate(hashes, begin):
        right[column::step] = words
    if wanted != given or b"".join(words.tobytes() for words in hashes).translate(None, _HEX):
        return None
    return events


def _put(wanted: bytearray, size: int, columns: slice, numbers: list[int]) -> bool:
    """Write rising ``numbers``, one into each row of ``size`` bytes; False when not all are as long as the columns."""
    width = columns.stop - columns.start
    texts = _encoder.encode(numbers)[1:]  # each with the comma or bracket after it
    if len(texts) != len(numbers) * (width + 1):
        return False
    first, last = texts[:width], wanted[columns]
    same = next((place for place in range(width) if first[place] != last[place]), width)  # rising: all begin alike
    for place in range(same, width):
        wanted[columns.start + place :: size] = texts[place :: width + 1]
    return texts.endswith(last, 0, -1)


def _take_over(wanted: bytearray, given: bytes, size: int, columns: slice, most: list[int]) -> bool:
    """Take numbers over as they are given, one from each row; False unless each is a number up to that in ``most``."""
    if given[columns] == wanted[columns]:  # the same between two syncs: if not all are, the comparison tells
        return int(given[columns]) <= most[0]
    width = columns.stop - columns.start
    texts = bytearray(b"," * ((width + 1) * len(most)))  # as a list of JSON has them
    for place in range(width):
        column = given[columns.start + place :: size]
        wanted[columns.start + place :: size] = column
        texts[place :: width + 1] = column
    if not texts.replace(b",", b"").isdigit():
        return False
    try:
        numbers = _integers.decode(b"[" + texts[:-1] + b"]")
    except msgspec.DecodeError:  # a zero before other digits
        return False
    return len(numbers) == len(most) and all(map(le, numbers, most))  # more of them, where a comma replaced a digit
