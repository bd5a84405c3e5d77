"""Long levels go on in the next row, as text does."""

from collections.abc import Sequence
from math import log

WIDER_THAN, LAYERS_OVER = 5.0, 7
"""A level is broken into rows when it is so many times wider than high, and has more than so many layers. Short
pipelines stay in one line: broken ones read worse."""

WANTED = 1.9
"""The shape that rows are made for, width by height."""

ROW_GAP = 30
"""Pixels between two rows, beside the tracks of what leads from one to the next."""


def breaks(widths: Sequence[int], height: int, strands: Sequence[int]) -> list[int]:
    """The layers that begin a row, the first one left out.

    ``widths`` are those of layers with the channels after them, ``strands`` how many run in each of these: rows end
    where few do, near where they would be equally wide. Cost: O(layers).
    """
    width = sum(widths)
    if len(widths) - 2 <= LAYERS_OVER or width <= WIDER_THAN * max(height, 1):
        return []
    count = min(range(1, len(widths) // 2), key=lambda n: abs(log(width / (n * n * (height + ROW_GAP)) / WANTED)))
    if count == 1:
        return []
    begins = [0]
    for each in widths:
        begins.append(begins[-1] + each)
    found: list[int] = []
    for number in range(1, count):
        aim = width * number / count
        slack = width / count / 4
        first = found[-1] + 2 if found else 2
        choices = [layer for layer in range(first, len(widths) - 1) if abs(begins[layer] - aim) <= slack]
        if choices:
            found.append(min(choices, key=lambda layer: (strands[layer - 1], abs(begins[layer] - aim))))
    return found
