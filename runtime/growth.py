"""How fast a ledger grows."""

from collections import deque

WINDOW_S = 3600.0
"""What is looked back on: an hour, so that a burst is not taken for the rule."""

STEP_S = 60.0
"""Time between two samples that are kept."""

LEAST_S = 5.0
"""From less than that nothing can be said about an hour."""


class Growth:
    """Bytes that were appended to a ledger over the last hour. Times are those of a monotonic clock, in seconds."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def note(self, now: float, appended: int) -> None:
        """``appended`` bytes so far. Costs nothing to speak of: a sample a minute is kept."""
        samples = self._samples
        if samples and appended < samples[-1][1]:  # another ledger: the one before was opened anew
            samples.clear()
        if not samples or now - samples[-1][0] >= STEP_S:
            samples.append((now, appended))
        while len(samples) > 1 and samples[1][0] <= now - WINDOW_S:
            samples.popleft()

    def per_hour(self, now: float, appended: int) -> int | None:
        """Bytes an hour, by what was appended since the first sample of the last hour; None when it is too early."""
        if not self._samples or now - self._samples[0][0] < LEAST_S:
            return None
        then, before = self._samples[0]
        return round((appended - before) / (now - then) * WINDOW_S)
