"""Names of settings as people give them: ``RIG/SUBJECT.name``, ``RIG/*.subject``, ``*.initials``, ``RIG/SUBJECT``."""

import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any

from ezmsg.ledger.values import TAG, Form

_WILD = re.compile(r"[*?\[]")


class SettingNames:
    """Patterns of settings. Each is matched against ``ADDRESS.FIELD``, a nested field by its dotted path; ``*`` stands
    for anything, also for slashes, ``?`` for one character, ``[ab]`` for one of these. An address alone means all that
    the component has. Capitals count.

    >>> names = SettingNames(["RIG/SUBJECT.name", "*.age"])
    >>> [path for path, _ in names.found("RIG/SUBJECT", {"name": "S07", "gain": 2.0, "more": {"age": 41}})]
    [('name',), ('more', 'age')]
    >>> names.unused
    []
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self.patterns = tuple(patterns)
        self.used: set[str] = set()

    @property
    def unused(self) -> list[str]:
        """The patterns that have matched nothing yet."""
        return [pattern for pattern in self.patterns if pattern not in self.used]

    def covers(self, address: str, path: str = "") -> bool:
        """Whether the field ``path`` of a component is meant; without one: all that it has."""
        full = f"{address}.{path}" if path else address
        found = [
            pattern
            for pattern in self.patterns
            # what is inside of a value that cannot be taken apart is meant by the whole of it
            if fnmatchcase(full, pattern) or fnmatchcase(address, pattern) or (path and pattern.startswith(f"{full}."))
        ]
        self.used.update(found)
        return bool(found)

    def found(self, address: str, shown: Form) -> Iterator[tuple[tuple[str, ...], Any]]:
        """The fields of a component's shown settings that are meant: their paths and values."""
        if type(shown) is dict and TAG not in shown:
            yield from self._inside(address, shown, ())

    def _inside(self, address: str, fields: dict[str, Any], above: tuple[str, ...]) -> Iterator[tuple[Any, Any]]:
        for name, value in fields.items():
            path = (*above, name)
            nested = type(value) is dict and TAG not in value
            if nested and not self._covers_whole(address, ".".join(path)):
                yield from self._inside(address, value, path)
            elif self.covers(address, ".".join(path)):
                yield path, value

    def _covers_whole(self, address: str, path: str) -> bool:
        full = f"{address}.{path}"
        return any(fnmatchcase(full, pattern) or fnmatchcase(address, pattern) for pattern in self.patterns)

    def may_be_in(self, address: str, text: str) -> bool:
        """Whether settings that are shown as a ``text`` can hold a field that is meant: it cannot be taken apart."""
        for pattern in self.patterns:
            if fnmatchcase(address, pattern):
                self.used.add(pattern)
                return True
            for place in (match.start() for match in re.finditer(r"\.", pattern)):
                field = pattern[place + 1 :].partition(".")[0]
                if fnmatchcase(address, pattern[:place]) and (
                    _WILD.search(field) or re.search(rf"\b{re.escape(field)}\b", text)
                ):
                    self.used.add(pattern)
                    return True
        return False

    def concern(self, address: str) -> bool:
        """Whether any setting of a component can be meant."""
        return any(
            fnmatchcase(address, pattern)
            or any(fnmatchcase(address, pattern[: match.start()]) for match in re.finditer(r"\.", pattern))
            for pattern in self.patterns
        )
