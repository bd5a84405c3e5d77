"""The painter: rounded lines, counts on shared ones, names that are no markup."""

from xml.etree import ElementTree

from ezmsg.ledger.projections.drawing.drawing import Drawing
from ezmsg.ledger.projections.drawing.mask import CAME, SAME, WENT, Mask
from ezmsg.ledger.projections.drawing.svg import escaped, rounded, svg
from ezmsg.ledger.projections.drawing.union import Union

from .graphs import collection, unit

SVG = "{http://www.w3.org/2000/svg}"


def test_corners_are_rounded_as_far_as_there_is_room() -> None:
    assert rounded([0, 0, 40, 0]) == "M0 0L40 0"
    assert rounded([0, 0, 20, 0, 20, 30, 40, 30]) == "M0 0L12 0Q20 0 20 8L20 22Q20 30 28 30L40 30"
    assert rounded([0, 0, 20, 0, 20, 6, 40, 6]) == "M0 0L17 0Q20 0 20 3L20 3Q20 6 23 6L40 6"


def test_names_are_no_markup() -> None:
    assert escaped("<a>&\"'\x1b\u202e") == "&lt;a&gt;&amp;&quot;&#x27;\\x1b\\u202e"


def test_a_line_of_many_edges_says_how_many_changed() -> None:
    """Seven sources leave a collection silently: they share a cable."""
    inside = [unit(f"C/U{number}", [], ["OUT"]) for number in range(7)]
    edges = [(f"C/U{number}/OUT", "VIEW/IN") for number in range(7)]
    document = Drawing(Union([collection("C", [], []), *inside], edges)).document()
    assert any(len(segment.edges) == 7 for segment in document.segments)
    marks = {0: CAME, 1: CAME, 2: WENT, **dict.fromkeys(range(3, 7), SAME)}
    drawn = ElementTree.fromstring(svg(document, Mask(dict.fromkeys(range(len(document.boxes)), SAME), marks), "a <b>"))
    counts = [[span.text for span in text] for text in drawn.iter(f"{SVG}text") if len(text)]
    assert ["+2", "\N{MINUS SIGN}1"] in counts
    titles = [title.text or "" for title in drawn.iter(f"{SVG}title")]
    assert titles[0] == "a <b>"
    assert "+ C/U0/OUT -> VIEW/IN" in titles
    assert any(title.count("\n") == 6 and "- C/U2/OUT -> VIEW/IN" in title for title in titles)


def test_a_picture_of_nothing_says_so() -> None:
    drawn = ElementTree.fromstring(svg(Drawing(Union()).document(), Mask({}, {})))
    assert [text.text for text in drawn.iter(f"{SVG}text")] == ["no unit, topic or edge was ever there"]


def test_what_is_not_there_is_faint() -> None:
    document = Drawing(Union([unit("A", [], ["OUT"])], [("A/OUT", "B/IN")])).document()
    drawn = ElementTree.fromstring(svg(document, Mask({0: SAME}, {})))
    looks = {element.get("class") for element in drawn.iter() if element.get("class")}
    assert {"e same ghost", "h same ghost", "card", "bare ghost", "name", "name ghost"} <= looks
