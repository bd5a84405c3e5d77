"""What holds of every drawing, whatever is drawn."""

import os
import subprocess
import sys

import msgspec
from hypothesis import given, settings

from ezmsg.ledger.projections.drawing.document import Document
from ezmsg.ledger.projections.drawing.drawing import Drawing
from ezmsg.ledger.projections.drawing.soundness import check
from ezmsg.ledger.projections.drawing.union import Union

from .graphs import Parts, parts


@settings(max_examples=200, deadline=None)
@given(parts())
def test_any_drawing_is_sound(drawn: Parts) -> None:
    check(Drawing(Union(*drawn)).document())


@settings(max_examples=30, deadline=None)
@given(parts())
def test_the_same_union_gives_the_same_drawing(drawn: Parts) -> None:
    first = msgspec.json.encode(Drawing(Union(*drawn)).document())
    assert msgspec.json.encode(Drawing(Union(*drawn)).document()) == first
    assert msgspec.json.encode(msgspec.json.decode(first, type=Document)) == first


SCRIPT = """
import hashlib
import msgspec
from ezmsg.ledger.projections.drawing.drawing import Drawing
from ezmsg.ledger.projections.drawing.union import Union

edges = [(f"S{a % 7}/G{a % 3}/U{a}/OUT", f"S{b % 5}/G{b % 2}/U{b}/IN") for a in range(30) for b in range(a % 4, 30, 7)]
middle = {"M": {"$": "TopicMetadata", "name": "M", "address": "S1/M"}, "N": {"$": "TopicMetadata", "address": "S1/N"}}
components = [{"$": "CollectionMetadata", "address": "S1", "topics": middle, "children": []}]
edges += [("S1/G1/U1/OUT", f"S1/{name}") for name in middle] + [(f"S1/{name}", "S1/G1/U1/IN") for name in middle]
drawing = Drawing(Union(components, edges[:-30]))
for edge in edges[-30:]:
    drawing.grow((), [edge])
print(hashlib.sha256(msgspec.json.encode(drawing.document())).hexdigest())
"""


def test_a_drawing_is_the_same_in_every_process() -> None:
    """Sets of texts have another order in each, unless PYTHONHASHSEED says which."""
    said = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(said) == 1
