"""The error of every part of the self-test."""


class Broken(AssertionError):
    """A promise of docs/PROMISES.md does not hold. ``str`` says which and where; ``replay`` is what shows it again."""

    def __init__(self, message: str, replay: str = "") -> None:
        super().__init__(message)
        self.replay = replay
