"""New events of the ledger, as server-sent events: gapless from any seq on."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from ezmsg.ledger.tools.debugger.api.bodies import Status
from ezmsg.ledger.tools.debugger.api.event_lines import event_lines
from ezmsg.ledger.tools.debugger.watched import Watched

POLL_S = 0.1
"""Between two looks at the ledger: a person sees no difference."""

QUIET_S = 10.0
"""Seconds between comments while nothing is to be told: a lost client is noticed, and a proxy does not hang up."""

PIECE = 500
"""Events in one message."""


async def live(watched: Watched, after: int) -> AsyncIterator[bytes]:
    """Messages for ``text/event-stream``, without end.

    ``status`` at first and whenever it changes but for the head; ``events`` with what ``events`` of the API answers
    with, whose id is the last seq in it: a client that comes again with that as ``Last-Event-ID`` misses nothing.
    """
    shown: Status | None = None
    seq, quiet = after, 0.0
    while not watched.ending:
        status, piece = await watched.ask(lambda asked, seq=seq: _look(asked, seq))  # type: ignore[misc]
        if seq > status.head or (shown is not None and status.epoch != shown.epoch):
            seq, piece = status.head, None  # another history: the client reads it from its beginning
        if shown is None or msgspec.structs.replace(status, head=shown.head) != shown:
            shown, quiet = status, 0.0
            yield _message("status", status)
        if piece is not None and piece["upto"] > seq:
            seq, quiet = piece["upto"], 0.0
            yield _message("events", piece, seq)
            continue
        if quiet >= QUIET_S:
            quiet = 0.0
            yield b": nothing new\n\n"
        await asyncio.sleep(POLL_S)
        quiet += POLL_S


def _look(watched: Watched, seq: int) -> tuple[Status, Any]:
    status = Status(watched.epoch, watched.head, watched.ledger.being_written, watched.trouble)
    piece = event_lines(watched, seq, watched.head, PIECE) if watched.head > seq else None
    return status, piece


def _message(kind: str, body: Any, id_: int | None = None) -> bytes:
    number = b"" if id_ is None else b"id: %d\n" % id_
    return number + b"event: " + kind.encode() + b"\ndata: " + msgspec.json.encode(body) + b"\n\n"
