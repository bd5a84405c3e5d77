"""Crash images of a simulated disk: every set of what may survive a power cut, or classes where there are too many.

Of each file the size may be any that it had since its last sync, and each sector that was written since may have been
kept in any version that it had, or lost. What is lost reads as it was before; where nothing ever was, as zeros, as
noise, or as text. Each change of a name was kept or lost by itself.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from itertools import product

from .sectors import SECTOR, Node, Range
from .tree import NameChange, Tree

SETS_MAX = 512
"""Sets of survivors of one file up to which all are taken. Nine sectors that were written once have as many."""

CHANGES_MAX = 6
"""Changes of names up to which every subset is taken; of more, every prefix."""

_dice = random.Random(1)
LOST: tuple[bytes, ...] = (bytes(SECTOR), _dice.randbytes(SECTOR), b"stale " * (SECTOR // 6) + b"..")
"""What reads where nothing ever was: zeros, noise, and text that JSON would take."""

Image = dict[str, bytes]
"""The files of a disk by their names."""


def file_images(node: Node, *, corners: bool = False) -> Iterator[bytes]:
    """The contents that the disk may hold of one file. Cost: O(bytes) each; some SETS_MAX, or a few dozen of a class.

    ``corners``: only what was there, what was written, its first half, and its size alone.
    """
    if node.clean:
        yield node.durable
        return
    extents = node.extents()
    if corners:
        now, before = len(node.content), len(node.durable)
        middle = (extents[0][0] + extents[-1][1]) // 2 if extents else 0
        yield from {
            node.composed(before),
            node.composed(now, extents),
            node.composed(before, extents),
            node.composed(now, [(0, middle)]),
            node.composed(now, lost=LOST[1]),
        }
        return
    seen: set[int] = set()
    for size in sorted(set(node.sizes)):
        for newest, versions in _every_set(node, size) if _few_sets(node, size) else _classes(node, size):
            for lost in LOST:
                image = node.composed(size, newest, versions, lost)
                if (key := hash(image)) not in seen:
                    seen.add(key)
                    yield image


Kept = tuple[list[Range], dict[int, int]]
"""Sectors that were kept: as they are now, unless in some version."""


def _few_sets(node: Node, size: int) -> bool:
    number = 1
    for sector in _sectors_below(node, size):
        number *= len(set(node.versions(sector))) + 1
        if number > SETS_MAX:
            return False
    return True


def _sectors_below(node: Node, size: int) -> list[int]:
    return [sector for sector in sorted(node.sectors()) if sector * SECTOR < size]


def _every_set(node: Node, size: int) -> Iterator[Kept]:
    """Each sector lost, or kept in any of its versions."""
    sectors = _sectors_below(node, size)
    choices: list[list[int | None]] = []
    for sector in sectors:
        distinct = {version: place for place, version in enumerate(node.versions(sector))}
        choices.append([None, *distinct.values()])
    for choice in product(*choices):
        yield [], {sector: version for sector, version in zip(sectors, choice, strict=True) if version is not None}


def _classes(node: Node, size: int) -> Iterator[Kept]:
    """None, all, all in their oldest version, every other; and of the first two, a middle and the last two sectors:
    what comes before it, what comes from it on, it alone, all but it.

    Nine sectors and more are a long event, or several lines. Sectors within an event are alike to a log that finds
    lines by their newlines and proves them by a hash of all before: what it can tell apart is whether the first line,
    the last one (of the commit) or what is between has gone, and whether bytes stand after a hole.
    """
    first, end = node.extents()[0][0], min(node.extents()[-1][1], -(-size // SECTOR))
    yield [], {}
    yield [(first, end)], {}
    if often := [sector for sector, times in node.sectors().items() if times > 1]:
        yield [(first, end)], {sector: 0 for sector in often if sector < end}
    yield [(sector, sector + 1) for sector in range(first, end, 2)], {}
    for place in sorted({first, first + 1, (first + end) // 2, end - 2, end - 1}):
        yield [(first, place)], {}
        yield [(place, end)], {}
        yield [(place, place + 1)], {}
        yield [(first, place), (place + 1, end)], {}


def images(tree: Tree, matters: Callable[[str], bool], *, corners: bool = False) -> Iterator[Image]:
    """The images that a power cut may leave of a tree; files that do not matter are as programs saw them.

    Where several files have something to lose, each goes through all that may become of it while the others are kept
    whole, and while they are lost.
    """
    for changes in _name_sets(tree):
        names = tree.files_after(changes)
        nodes = {id(node): node for name, node in names.items() if matters(name)}
        open_ones = [node for node in nodes.values() if not node.clean]
        base = {name: node.durable if matters(name) else bytes(node.content) for name, node in names.items()}
        if not open_ones:
            yield base
            continue
        for node in open_ones:
            for kept in (True, False) if len(open_ones) > 1 else (True,):
                for image in file_images(node, corners=corners):
                    yield _with(base, names, open_ones, node, image, kept)


def _with(
    base: Mapping[str, bytes], names: Mapping[str, Node], open_ones: list[Node], node: Node, image: bytes, kept: bool
) -> Image:
    result = dict(base)
    for name, each in names.items():
        if each is node:
            result[name] = image
        elif kept and any(each is other for other in open_ones):
            result[name] = bytes(each.content)
    return result


def _name_sets(tree: Tree) -> Iterator[list[NameChange]]:
    number = len(tree.changes)
    if number > CHANGES_MAX:
        for end in range(number + 1):
            yield tree.changes[:end]
        return
    for bits in range(2**number):
        yield [change for place, change in enumerate(tree.changes) if bits >> place & 1]


def random_image(tree: Tree, dice: random.Random) -> Image:
    """One of the images that a power cut may leave, of all files."""
    changes = [change for change in tree.changes if dice.random() < 0.7]
    result: Image = {}
    drawn: dict[int, bytes] = {}
    for name, node in tree.files_after(changes).items():
        if id(node) not in drawn:
            share = dice.choice((0.0, 0.3, 0.7, 0.95, 1.0))
            kept = {sector: dice.randrange(times) for sector, times in node.sectors().items() if dice.random() < share}
            drawn[id(node)] = node.composed(dice.choice(node.sizes), [], kept, dice.choice(LOST))
        result[name] = drawn[id(node)]
    return result
