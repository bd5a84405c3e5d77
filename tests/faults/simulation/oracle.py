"""A second reading of docs/FORMAT.md, "What counts": in the plainest way, from bytes alone.

The log and this share no code: where they disagree about a file, one of them is wrong.
"""

import json
import re
from hashlib import sha256
from typing import Any, NamedTuple


class Judgement(NamedTuple):
    """The verdict on a file, by the rules of the format.

    ``events``: those of its sound commits, as JSON; ``end``: the offset after the last of these; ``stated``: how far
    the file was on the disk, by whatever commit line says most; ``header``: where its first line ends, 0 without one;
    ``proven``: whether the first commit line proves it, False when that contradicts it, None when there is none.
    """

    events: list[Any]
    end: int
    stated: int
    header: int
    proven: bool | None
    moved: bool

    @property
    def damaged(self) -> bool:
        """Whether bytes that were on the disk have changed: nothing may be cut.

        A header and its commit line were on the disk before the file had its name.
        """
        return self.end < self.stated or self.proven is False or self.moved


def judge(data: bytes) -> Judgement:
    """Read a file by the rules of the format. Cost: O(bytes), slowly."""
    events: list[Any] = []
    pending: list[Any] = []
    offset = end = seq = header = 0
    ends = [0]
    hashed = sha256()
    proven: bool | None = None
    for number, line in enumerate(data.split(b"\n")[:-1]):
        kind, entry = _entry(line)
        if number == 0:
            if kind != "ledger.header":
                break
            header = end = len(line) + 1
            ends.append(header)
        elif kind == "ledger.commit":
            expected = (
                f'{{"type":"ledger.commit","upto":{seq},"count":{len(pending)},"at":{offset},'
                f'"synced":{entry.get("synced")},"sha256":"{hashed.hexdigest()}"}}'
            )
            if proven is None and entry.get("at") == header:
                proven = entry.get("sha256") == hashed.hexdigest()
            if line != expected.encode() or entry["synced"] not in ends:
                break
            events += pending
            pending = []
            end = offset + len(line) + 1
            ends.append(end)
        elif kind is None or kind == "ledger.header":
            break
        elif not kind.startswith("ledger."):
            lost = kind == "gap" and entry.get("lost", 0) > 0
            if seq + 1 != (entry.get("first") if lost else entry.get("seq")):
                break
            seq = entry["seq"]
            pending.append(entry)
        hashed.update(line + b"\n")
        offset += len(line) + 1
    return Judgement(events, end, _stated(data, end), header, proven, _moved(data, end))


def _entry(line: bytes) -> tuple[str | None, dict[str, Any]]:
    try:
        entry = json.loads(line)
    except ValueError:
        return None, {}
    if not isinstance(entry, dict) or not isinstance(entry.get("type"), str):
        return None, {}
    return entry["type"], entry


def _moved(data: bytes, end: int) -> bool:
    """Whether a commit line after the sound part, whole as a writer puts it, stands at another offset than it says."""
    offset = end
    for line in data[end:].split(b"\n"):
        at = re.match(
            rb'{"type":"ledger\.commit","upto":\d+,"count":\d+,"at":(\d+),"synced":\d+,"sha256":"[0-9a-f]{64}"}', line
        )
        if at is not None and int(at[1]) != offset:
            return True
        offset += len(line) + 1
    return False


def _stated(data: bytes, end: int) -> int:
    """The largest ``synced`` of a commit line after the sound part, whatever else is wrong with that line.

    One that does not begin a line counts where it stands at its own ``at``: the newline before it may be what changed.
    """
    stated = 0
    for found in re.finditer(rb'{"type":"ledger.commit",[^\n]*?"at":(\d+),"synced":(\d+),', data[end:]):
        begin = end + found.start()
        if data[begin - 1 : begin] == b"\n" or int(found[1]) == begin:
            stated = max(stated, int(found[2]))
    return stated
