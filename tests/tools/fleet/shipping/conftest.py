"""A broker of a test's own, and a ledger that is shipped to it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .desks import Trouble


@pytest.fixture
def trouble(tmp_path: Path, recorded: Callable[..., Path]) -> Iterator[Trouble]:
    found = Trouble(tmp_path, recorded())
    yield found
    found.close()
