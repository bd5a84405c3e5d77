"""The effort of one part of the self-test: the time that it may take, and the account of what it has done."""

import time
from collections import Counter
from collections.abc import Callable


class Effort:
    """A budget of seconds (None: until all is done), and the account of what was done in them.

    ``figures`` are the account, ``samples`` seconds of what was timed. ``tell``: called now and then with the share of
    the budget that is spent.
    """

    def __init__(self, seconds: float | None = None, tell: Callable[[float], object] | None = None) -> None:
        self.figures: Counter[str] = Counter()
        self.samples: list[float] = []
        self.seconds = seconds
        self._tell = tell
        self._begun = time.monotonic()

    @property
    def spent(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._begun

    @property
    def over(self) -> bool:
        """Whether nothing new should be begun. Asked after something was done: no part holds that has tried nothing."""
        self.spend()
        return self.seconds is not None and self.spent >= self.seconds

    def spend(self) -> None:
        """Say how far it is."""
        if self._tell is not None and self.seconds:
            self._tell(min(1.0, self.spent / self.seconds))
