"""A drawing as it is sent to the program that paints it: see docs/debugger/DRAWING.md."""

import msgspec

VERSION = 1
"""The version of the wire form: it changes when its readers have to."""


class PlacedPort(msgspec.Struct, array_like=True, gc=False):
    """A port, and where lines meet it. Those of side ``both`` come in at the left edge of its box, and leave at the
    right one."""

    topic: str
    side: str
    x: int
    y: int
    name: str


class PlacedBox(msgspec.Struct, array_like=True):
    """A box. ``parent`` is the place of the collection around it, -1 for none; those around come first."""

    address: str
    kind: str
    parent: int
    x: int
    y: int
    w: int
    h: int
    ports: list[PlacedPort]
    type: str
    name: str


class Segment(msgspec.Struct, array_like=True, gc=False):
    """A line with right angles, [x, y, x, y, ...], from source to target, and the places of the edges that it is of."""

    points: list[int]
    edges: list[int]


class Document(msgspec.Struct):
    """A drawing as it is sent: see docs/debugger/DRAWING.md."""

    version: int
    seq: int
    generation: int
    width: int
    height: int
    simplified: bool
    boxes: list[PlacedBox]
    edges: list[tuple[str, str]]
    segments: list[Segment]
