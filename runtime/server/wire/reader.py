"""A reader of commands and their arguments that trusts no length, and takes what is whole when its last byte comes.

A task that awaits one field after the other is woken for each of them, and a command whose last byte has come still
waits for its task's turn. Here the task hands in a function, the *step*, which takes all that is whole; it is called
where the bytes arrive, in the transport's own callback, and the task is woken only when the step has a result.
``_missing`` says how many bytes the step lacks: with fewer, a piece is put aside and counted; all are joined once.
"""

import asyncio
from collections.abc import Callable
from struct import Struct
from time import monotonic
from typing import Any, Final, TypeVar

from ezmsg.ledger.runtime.server.wire.protocol import Argument, Late, TooLong, Truncated, WireError
from ezmsg.ledger.runtime.server.wire.waiters import release

T = TypeVar("T")

SKIP_MAX = 256 * 2**20
"""Bytes of an argument beyond its bound that are read and thrown away, so that the connection, and the edges that live
with it, survive one oversized value. A larger claim ends the connection."""

ARGUMENT_TIMEOUT_S = 5.0
"""Time that the arguments of a command have once its first byte is there: as long as clients wait for an answer."""

RATE_MIN = 2**20
"""Bytes per second that a sender of a large argument must keep up: its deadline moves back by the length over this."""

LARGE = 64 * 1024
"""Bytes from which an argument is large. Smaller ones come in a piece or two."""

AHEAD_MAX = 128 * 1024
"""Bytes that are taken from a client while what it sent before is not answered; the rest waits on its side."""

TURN_S = 0.002
"""Time for which the commands of one client are taken before the others have a turn. A command that takes longer by
itself is followed by a turn of the others."""

_LENGTH: Final = Struct("<Q").unpack_from
_COMMANDS: Final = [bytes((value,)) for value in range(256)]


class Reader:
    """The bytes of one connection, as commands and arguments. ``transport`` is held back when they come too fast.

    ``next`` and ``ready`` say what is there; ``until`` calls them whenever more has come, and everything else is made
    of these three. The clock of a command's arguments starts when they are asked for; it bounds them all together, and
    is looked at only when bytes are missing, by one timer that stays on from one command to the next. One task at a
    time.

    ``ended`` is done when the client has left. That cannot be seen while AHEAD_MAX bytes of it are unanswered. ``grew``
    is told of bytes that cannot be read yet.
    """

    def __init__(
        self,
        transport: asyncio.ReadTransport | None = None,
        timeout: float = ARGUMENT_TIMEOUT_S,
        grew: Callable[[int], None] | None = None,
    ) -> None:
        self._transport = transport
        self._timeout = timeout
        self._grew = grew
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self._error: Exception | None = None
        # the bytes: those that can be read, and after them pieces that were not needed yet
        self._buffer = b""
        self._at = 0
        self._pieces: list[bytes] = []
        self._ahead = 0
        self._held_back = False
        # the arguments under way
        self._values: list[Any] = []
        self._wrong: WireError | None = None
        self._large = False  # whether its deadline was put off for the one under way
        self._skip = 0  # what is still to come of one that is thrown away
        self._missing = 0  # with fewer bytes than these nothing more can be read
        # the task that waits
        self._step: Callable[[], Any] | None = None
        self._waiter: asyncio.Future[Any] | None = None
        self.begin_turn()
        self._deadline: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_gathering(self) -> bool:
        """Whether more than a little has come that is not read yet."""
        return bool(self._pieces) or len(self._buffer) > LARGE

    @property
    def pending(self) -> int:
        """Bytes that have come and are not read yet. Cost: O(pieces in which they came)."""
        return len(self._buffer) - self._at + sum(map(len, self._pieces))

    def begin_turn(self) -> None:
        """Take commands of this client from now on, until the others are to have a turn."""
        self._began = monotonic()

    @property
    def turn_is_over(self) -> bool:
        """Whether commands have been taken for TURN_S."""
        return monotonic() - self._began > TURN_S

    # --- what comes --------------------------------------------------------------------------------------------------

    def feed(self, data: bytes) -> None:
        """Bytes have come."""
        if self._step is None:
            self._pieces.append(data)
            self._ahead += len(data)
            if self._ahead > AHEAD_MAX and not self._held_back and self._transport is not None:
                self._held_back = True
                self._transport.pause_reading()
        elif len(data) < self._missing:
            self._pieces.append(data)
            self._missing -= len(data)
        else:
            self._gather(data)
            self._advance()
            if not self._missing:
                return
        if self._grew is not None:
            self._grew(len(data))

    def end(self, error: Exception | None = None) -> None:
        """No more will come; ``error``: because the connection is broken, or was cut off."""
        if isinstance(error, OSError) and not isinstance(error, ConnectionError):
            error = ConnectionResetError(str(error))  # a host out of reach, say: whatever the network does is one thing
        self._error = self._error or error
        release(self.ended)
        if self._step is not None:
            self._gather(b"")
            self._advance()
        self._stop_clock()

    def _gather(self, data: bytes) -> None:
        """Make all bytes that are there readable."""
        if self._pieces or self._at < len(self._buffer):
            self._buffer = b"".join((self._buffer[self._at :], *self._pieces, data))
            self._pieces.clear()
        else:
            self._buffer = data
        self._at = 0
        self._missing = self._ahead = 0

    # --- the task that waits ------------------------------------------------------------------------------------------

    async def until(self, step: Callable[[], T | None]) -> T:
        """The first result of ``step`` that is not None: it is called now, and whenever bytes or the end have come.

        It is called in the very moment in which they come, so what it can do without waiting costs no change of tasks.
        Raises what it raises, Late when the deadline passes, and the ConnectionError that ended the connection. When
        this is cancelled, what ``step`` did is done.
        """
        self.check()
        if self._pieces:
            self._gather(b"")
        found = step()
        if found is not None:
            return found
        if self._held_back and self._transport is not None:
            self._held_back = False
            self._transport.resume_reading()
        self._step = step
        self._waiter = waiter = self._loop.create_future()
        self._start_clock()
        try:
            answer: T = await waiter
            self.begin_turn()
            return answer
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                waiter.exception()  # seen; what it says comes too late
            raise
        finally:
            self._step = self._waiter = None

    def _advance(self) -> None:
        step, waiter = self._step, self._waiter
        if step is None or waiter is None or waiter.done():  # done: cancelled a moment ago
            return
        try:
            found = step()
        except Exception as error:  # for the task that waits
            self._step = None
            waiter.set_exception(error)
        else:
            if found is not None:
                self._step = None
                waiter.set_result(found)
            elif self._deadline is not None:
                self._start_clock()

    def _start_clock(self) -> None:
        deadline = self._deadline
        if deadline is None or (self._timer is not None and self._timer.when() <= deadline):
            return
        self._stop_clock()
        self._timer = self._loop.call_at(deadline, self._look_at_clock)

    def _stop_clock(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_at_clock(self) -> None:
        self._timer = None
        if self._step is None or self._waiter is None or self._waiter.done() or self._deadline is None:
            return
        if self._loop.time() < self._deadline:  # that of a later command
            self._start_clock()
        else:
            self._step = None
            self._waiter.set_exception(Late("the rest of a command did not come in time"))

    # --- what is there -----------------------------------------------------------------------------------------------

    def next(self) -> bytes | None:
        """The next command byte; empty at the end of the stream, None while it has not come.

        Raises the ConnectionError that ended it, as all that looks for more does.
        """
        at = self._at
        if at < len(self._buffer):
            self._at = at + 1
            return _COMMANDS[self._buffer[at]]
        self._buffer, self._at = b"", 0  # what was read may have been large
        return b"" if self._is_over() else None

    def _is_over(self) -> bool:
        """Whether no more will come. Raises the error that made an end of it."""
        if not self.ended.done():
            return False
        self.check()
        return True

    def check(self) -> None:
        """Raise the ConnectionError that ended the stream, if one did."""
        if self._error is not None:
            raise self._error

    def ready(self, kinds: tuple[Argument, ...]) -> list[Any] | None:
        """The arguments of a command, in order; None while some are missing, to be asked again when more has come.

        All are read before one that is wrong is reported, so that the stream stays in step. Raises a WireError.
        """
        values = self._values
        for most, decode in kinds[len(values) :] if values else kinds:
            data = self._argument(most)
            if data is None:
                self._expect_more()
                return None
            try:
                values.append(decode(data) if self._wrong is None else None)
            except WireError as error:
                self._wrong = error
                values.append(None)
        if values:
            self._values = []
        self._deadline = None
        if self._wrong is not None:
            wrong, self._wrong = self._wrong, None
            raise wrong
        return values

    def _argument(self, most: int | None) -> bytes | None:
        """The bytes of the next argument, empty for one that is too long; None while they are not all there."""
        if self._skip:
            return self._pass_over()
        buffer = self._buffer
        start, end = self._at, self._at + 8
        if most is not None and end <= len(buffer):
            (size,) = _LENGTH(buffer, start)
            if size > most:
                return self._begin_to_skip(size, most)
            if size > LARGE and not self._large:
                self._large = True
                self._put_off(size)
            start, end = end, end + size
        if end > len(buffer):
            self._missing = end - len(buffer)
            return None
        self._at = end
        if self._large:
            self._large = False
            if end == len(buffer):  # it may be kept for long: one copy is enough
                self._buffer, self._at = b"", 0
        return buffer[start:end]

    def _begin_to_skip(self, size: int, most: int) -> bytes | None:
        error = TooLong(f"an argument of {size} bytes, where at most {most} are allowed", in_sync=size <= SKIP_MAX)
        if size > SKIP_MAX:
            raise error
        self._wrong = self._wrong or error
        self._at += 8
        self._skip = size
        self._put_off(size)
        return self._pass_over()

    def _pass_over(self) -> bytes | None:
        step = min(self._skip, len(self._buffer) - self._at)
        self._at += step
        self._skip -= step
        return None if self._skip else b""

    def _put_off(self, size: int) -> None:
        self._deadline = (self._deadline or self._loop.time() + self._timeout) + size / RATE_MIN

    def _expect_more(self) -> None:
        if self._is_over():
            raise Truncated("the connection ended inside a command")
        if self._deadline is None:
            self._deadline = self._loop.time() + self._timeout

    # --- by waiting --------------------------------------------------------------------------------------------------

    async def command(self, timeout: float | None = None) -> bytes | None:
        """The next command byte; None at the end of the stream. A cancelled one loses nothing.

        Waits as long as it takes, or raises Late after ``timeout`` seconds. Where commands come faster than they are
        done, others have their turn in between.
        """
        if self.turn_is_over:
            await asyncio.sleep(0)
            self.begin_turn()
        self._deadline = None if timeout is None else self._loop.time() + timeout
        await self.until(self._next_is_there)
        self._deadline = None
        return self.next() or None

    def _next_is_there(self) -> bool | None:
        return True if self._at < len(self._buffer) or self.next() is not None else None

    async def arguments(self, *kinds: Argument, timeout: float | None = None) -> list[Any]:
        """The arguments of a command, in order. ``timeout``: seconds, in place of ARGUMENT_TIMEOUT_S.

        All are read before one that is wrong is reported, so that the stream stays in step. Raises a WireError.
        """
        self._deadline = None if timeout is None else self._loop.time() + timeout
        return await self.until(lambda: self.ready(kinds))

    async def until_gone(self) -> None:
        """Return when the client has left; what it sends until then means nothing."""

        def nothing_more() -> bool | None:
            self._buffer, self._at = b"", 0
            return True if self._is_over() else None

        self._deadline = None
        await self.until(nothing_more)
