"""What a person does with the page, on a recording of real processes."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import events as ev
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.questions.timeline import Timeline

Show = Callable[..., Any]


def edges_of(path: Path, seq: int) -> set[str]:
    with Ledger.open(path, "r") as ledger:
        return {f"{a} -> {b}" for (a, b), _ in Timeline(ledger).at(seq).ownership.edges()}


def head_of(path: Path) -> int:
    with Ledger.open(path, "r") as ledger:
        return ledger.head


def test_it_opens_on_the_last_event_with_all_its_parts(show: Show, demo: Path) -> None:
    shown = show(demo)
    assert shown.at == head_of(demo)
    for region in ("Graph", "Timeline", "Inspector", "Events"):
        assert shown.region(region).is_visible()
    for button in ("Previous event", "Next event", "Play", "Follow", "Pin this moment"):
        assert shown.button(button).is_visible()
    said = shown.moment.get_attribute("aria-valuetext")
    assert re.fullmatch(rf"seq {shown.at}, \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{{3}}", said)
    shown.shot("demo-end")


def test_each_step_is_the_state_after_that_event(show: Show, demo: Path) -> None:
    shown = show(demo, query="?at=0")
    for seq in range(1, head_of(demo) + 1):
        shown.button("Next event").click()
        assert shown.at == seq
        assert set(shown.edges(seq)) == edges_of(demo, seq)
    shown.button("Next event").click()
    assert shown.at == head_of(demo)
    for seq in range(head_of(demo) - 1, 30, -1):
        shown.button("Previous event").click()
        assert set(shown.edges(seq)) == edges_of(demo, seq)


def test_a_step_asks_the_server_nothing(show: Show, demo: Path) -> None:
    shown = show(demo, query="?at=20")
    shown.page.wait_for_load_state("load")
    shown.edges(20)
    shown.requests.clear()
    for _ in range(12):
        shown.page.keyboard.press("ArrowRight")
    shown.edges(32)
    shown.page.keyboard.press("p")
    for _ in range(9):
        shown.page.keyboard.press("ArrowLeft")
    shown.edges(23, 32)
    assert shown.requests == []


def test_a_step_touches_no_node_of_the_graph_that_did_not_change(show: Show, demo: Path, landmarks: Any) -> None:
    before = landmarks.gain_raised - 1
    shown = show(demo, query=f"?at={before}")
    shown.edges(before)
    shown.page.evaluate(
        """() => {
            window.touched = [];
            new MutationObserver(found => window.touched.push(...found.map(each => each.target.className)))
                .observe(document.querySelector('.react-flow'), {subtree: true, childList: true, attributes: true});
        }"""
    )
    shown.page.keyboard.press("ArrowRight")  # a setting changed
    shown.edges(landmarks.gain_raised)
    assert shown.page.evaluate("window.touched") == []


def test_scrubbing_moves_the_moment(show: Show, demo: Path) -> None:
    shown = show(demo)
    box = shown.region("Timeline").bounding_box()
    mouse = shown.page.mouse
    mouse.move(box["x"] + box["width"] - 12, box["y"] + 60)
    mouse.down()
    mouse.move(box["x"] + 92 + (box["width"] - 104) * 0.5, box["y"] + 60, steps=5)
    assert abs(shown.at - head_of(demo) // 2) <= 1
    mouse.move(box["x"] + 40, box["y"] + 60, steps=3)
    mouse.up()
    assert shown.at == 0
    assert shown.edges(0) == {}


def test_the_keyboard_does_what_the_buttons_do(show: Show, demo: Path) -> None:
    shown = show(demo, query="?at=20")
    keys, head = shown.page.keyboard, head_of(demo)
    ways = ("ArrowRight", 21), ("ArrowLeft", 20), ("Home", 0), ("End", head), ("PageUp", head - 3), ("Escape", head)
    for key, at in ways:
        keys.press(key)
        assert shown.at == at, key
    keys.press("p")
    assert shown.page.get_by_role("button", name="Pin this moment").get_attribute("aria-pressed") == "true"
    keys.press("p")
    keys.press("?")
    assert shown.page.get_by_role("dialog", name="Keys").is_visible()
    keys.press("Escape")
    keys.press("2")
    assert shown.button("Owners").get_attribute("aria-pressed") == "true"
    keys.press("Home")
    keys.press(" ")
    shown.until(lambda: shown.at >= 2, "it plays")
    keys.press(" ")
    at = shown.at
    assert 2 <= at < head
    assert shown.button("Play").is_visible()


def test_arrows_with_shift_step_through_the_changes_of_what_is_selected(show: Show, demo: Path) -> None:
    shown = show(demo, query="?at=0&select=RIG/AMP/OUTPUT -> RIG/MONITOR/INPUT")
    with Ledger.open(demo, "r") as ledger:
        lives = Timeline(ledger).history("RIG/AMP/OUTPUT -> RIG/MONITOR/INPUT").lives
        changes = sorted({seq for life in lives for seq in (life.born, life.died) if seq is not None})
    for seq in changes:
        shown.page.keyboard.press("Shift+ArrowRight")
        assert shown.at == seq
    for seq in reversed(changes[:-1]):
        shown.page.keyboard.press("Shift+ArrowLeft")
        assert shown.at == seq


def test_two_moments_on_one_drawing(show: Show, demo: Path, landmarks: Any) -> None:
    at, pin = landmarks.visitor_connected, landmarks.visitor_opened
    shown = show(demo, query=f"?at={at}")
    shown.button("Pin this moment").click()
    shown.page.keyboard.press("End")
    said = shown.edges(head_of(demo), at)
    before, after = edges_of(demo, at), edges_of(demo, head_of(demo))
    assert {name for name, word in said.items() if word == "removed"} == before - after
    assert {name for name, word in said.items() if word == "added"} == after - before
    shown.open(f"?at={at}&pin={pin}")
    said = shown.edges(at, pin)
    assert said["RIG/AMP/OUTPUT -> RIG/MONITOR/INPUT"] == "other owners"
    assert said["RIG/AMP/OUTPUT -> VISITOR/SCOPE"] == "added"
    assert {word for name, word in said.items() if name in edges_of(demo, pin)} == {"", "other owners"}
    shown.shot("demo-compare")


def test_what_came_and_went_in_between_is_told(show: Show, demo: Path, landmarks: Any) -> None:
    at, pin = landmarks.visitor_lost, landmarks.visitor_opened - 1
    shown = show(demo, query=f"?at={at}&pin={pin}")
    assert shown.edges(at, pin)["RIG/AMP/OUTPUT -> VISITOR/SCOPE"] == "came and went in between"
    assert "1 session and 1 edge came and went in between" in shown.region("Inspector").inner_text()


def test_what_went_and_came_back_in_between_is_told(show: Show, tmp_path: Path) -> None:
    """Of three edges that stand at both moments: one all the time, one handed over, one gone for a while."""
    path = tmp_path / "between.ledger"
    edges = [("A/OUT", f"{name}/IN") for name in ("STAYS", "HANDED", "BROKEN")]
    with Ledger.open(path) as ledger:
        for uuid in ("00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002"):
            ledger.append([ev.SessionOpened(uuid=uuid, label="LAB")])
        ledger.append([ev.EdgeConnected(from_topic=a, to_topic=b, owner=1) for a, b in edges])
        pin = ledger.head
        for (a, b), owner in ((edges[1], 2), (edges[2], None)):
            ledger.append([ev.EdgeConnected(from_topic=a, to_topic=b, owner=owner)])
        ledger.append([ev.EdgeDisconnected(from_topic=edges[1][0], to_topic=edges[1][1], owner=1)])
        for owner in (1, None):
            ledger.append([ev.EdgeDisconnected(from_topic=edges[2][0], to_topic=edges[2][1], owner=owner)])
        ledger.append([ev.EdgeConnected(from_topic=edges[2][0], to_topic=edges[2][1], owner=1)])
        head = ledger.head
    shown = show(path, own=True, query=f"?at={head}&pin={pin}")
    inspector = shown.region("Inspector")
    assert "1 edge went and came back" in inspector.inner_text()
    group = inspector.locator("details").filter(has_text="went and came back")
    assert group.get_by_role("listitem").all_inner_texts() == ["A/OUT -> BROKEN/IN"]
    assert {edge for edge, word in shown.edges(head, pin).items() if word} == {"A/OUT -> HANDED/IN"}


def test_the_inspector_says_why_and_leads_to_the_event(show: Show, demo: Path) -> None:
    shown = show(demo, query="?at=40&select=RIG/AMP/OUTPUT -> VISITOR/SCOPE")
    inspector = shown.region("Inspector")
    inspector.get_by_text("Why", exact=True).wait_for()
    with Ledger.open(demo, "r") as ledger:
        why = Timeline(ledger).why("RIG/AMP/OUTPUT -> VISITOR/SCOPE", 40)
        went = why.lives[0].went
    assert went is not None
    assert went.text in inspector.inner_text()
    inspector.get_by_role("button", name=str(went.seq), exact=True).first.click()
    assert shown.at == went.seq
    shown.page.keyboard.press("ArrowLeft")
    assert "there" in inspector.inner_text()
    inspector.get_by_text("The same from a terminal").click()
    command = inspector.locator("code").first.inner_text()
    assert command == f"ezmsg-ledger why demo.ledger 'RIG/AMP/OUTPUT -> VISITOR/SCOPE' --at {went.seq - 1}"


def test_settings_tell_their_changes_and_who_may_have_asked(show: Show, demo: Path, landmarks: Any) -> None:
    shown = show(demo, query=f"?at={landmarks.gain_raised}")
    shown.region("Graph").get_by_role("button", name="RIG/AMP/GAIN", exact=True).click()
    inspector = shown.region("Inspector")
    inspector.get_by_text("Settings", exact=True).wait_for()
    assert json.loads(inspector.get_by_label("Value").inner_text())["gain"] == 4.0
    assert "gain 2 \u2192 4" in inspector.inner_text()
    assert "RIG/TUNER/OUTPUT_SETTINGS" in inspector.inner_text()
    shown.page.keyboard.press("ArrowLeft")
    assert json.loads(inspector.get_by_label("Value").inner_text())["gain"] == 2.0


def test_units_topics_and_sessions_are_reached_by_name(show: Show, demo: Path, landmarks: Any) -> None:
    shown = show(demo, query=f"?at={landmarks.visitor_connected}")
    for name, select in (
        ("RIG/MONITOR/SINK", "unit RIG/MONITOR/SINK"),
        ("RIG/AMP/OUTPUT", "topic RIG/AMP/OUTPUT"),
        ("RIG/AMP", "collection RIG/AMP"),
    ):
        shown.region("Graph").get_by_role("button", name=name, exact=True).click()
        shown.until_address("select", select)
    shown.region("Timeline").get_by_role("button", name="session RIG").click()
    shown.until_address("select", f"session {landmarks.rig_opened}")
    assert "connected, holds 7 edges" in shown.region("Inspector").inner_text()


def test_a_session_is_taken_away(show: Show, demo: Path, landmarks: Any) -> None:
    shown = show(demo, query=f"?at={landmarks.visitor_connected}&select=session {landmarks.visitor_opened}")
    shown.button("What if it had never come?").click()
    shown.region("Inspector").get_by_text("\u22121 edge").wait_for()
    assert "RIG/AMP/OUTPUT -> VISITOR/SCOPE" in shown.region("Inspector").inner_text()


def test_an_edge_can_be_hit(show: Show, demo: Path) -> None:
    shown = show(demo, query="?at=35")
    shown.rest()
    a = shown.region("Graph").get_by_role("button", name="RIG/AMP/GAIN/OUTPUT", exact=True).bounding_box()
    b = shown.region("Graph").get_by_role("button", name="RIG/AMP/OUTPUT", exact=True).bounding_box()
    x = (a["x"] + a["width"] + b["x"]) / 2
    y = a["y"] + a["height"] / 2
    shown.page.mouse.move(x, y)
    assert "RIG/AMP/GAIN/OUTPUT -> RIG/AMP/OUTPUT" in shown.page.locator(".tip").inner_text()
    shown.page.mouse.click(x, y)
    assert "RIG/AMP/GAIN/OUTPUT -> RIG/AMP/OUTPUT" in shown.region("Inspector").inner_text()


def test_a_link_opens_the_same_view(show: Show, demo: Path) -> None:
    shown = show(demo, query="?at=35&pin=12&lens=owner&select=unit RIG/AMP/GAIN&collapsed=RIG/MONITOR")
    assert shown.at == 35
    assert shown.button("Owners").get_attribute("aria-pressed") == "true"
    assert "RIG/AMP/GAIN" in shown.region("Inspector").inner_text()
    assert shown.region("Graph").get_by_role("button", name="Expand RIG/MONITOR").is_visible()
    assert not shown.page.locator('[data-address="RIG/MONITOR/SINK"]').is_visible()
    before = shown.edges(35, 12)
    shown.page.keyboard.press("ArrowRight")
    shown.until_address("at", "36")
    shown.page.keyboard.press("ArrowLeft")
    shown.until_address("at", "35")
    shown.page.reload()
    shown.ready()
    assert shown.edges(35, 12) == before


def test_a_moment_by_its_name_in_the_address(show: Show, demo: Path, landmarks: Any) -> None:
    assert show(demo, query=f"?at=session:{landmarks.rig_opened}").at == landmarks.rig_opened


def test_collapse_hides_within_its_place(show: Show, demo: Path) -> None:
    shown = show(demo, query="?at=35")
    box = shown.page.locator('[data-address="RIG/AMP"]')
    before = box.bounding_box()
    shown.region("Graph").get_by_role("button", name="Collapse RIG/AMP").click()
    assert box.bounding_box() == before
    assert not shown.page.locator('[data-address="RIG/AMP/GAIN"]').is_visible()
    shown.shot("demo-collapsed")
    shown.region("Graph").get_by_role("button", name="Expand RIG/AMP").click()
    assert shown.page.locator('[data-address="RIG/AMP/GAIN"]').is_visible()


def test_search_finds_by_a_part_of_the_name(show: Show, demo: Path) -> None:
    shown = show(demo, query="?at=35")
    shown.page.keyboard.press("/")
    shown.page.keyboard.type("monitor sink")
    shown.page.get_by_role("option", name="unit RIG/MONITOR/SINK").wait_for()
    shown.page.keyboard.press("Enter")
    assert "RIG/MONITOR/SINK" in shown.region("Inspector").inner_text()


def test_events_are_told_and_lead_to_the_moment(show: Show, demo: Path, landmarks: Any) -> None:
    shown = show(demo, query=f"?at={landmarks.visitor_lost}")
    events = shown.region("Events")
    line = events.get_by_role("listitem").filter(has_text="was lost")
    line.first.wait_for()
    line.first.get_by_role("button").click()
    assert shown.at == landmarks.visitor_lost
    box = events.get_by_role("searchbox", name="Filter events")
    box.fill("session.closed")
    box.press("Enter")
    events.get_by_role("listitem").filter(has_text="RIG/AMP/GAIN").first.wait_for(state="detached")
    shown.until_address("events", "session.closed")
    texts = events.get_by_role("listitem").all_inner_texts()
    assert texts
    assert all("session" in text for text in texts)
    box.fill("sesion.closed")
    box.press("Enter")
    events.get_by_role("alert").filter(has_text="there is no type of events").wait_for()
    shown.refused()


def test_a_question_becomes_a_lane_on_the_timeline(show: Show, demo: Path) -> None:
    shown = show(demo)
    box = shown.page.get_by_role("searchbox", name="Ask")
    box.fill("edge RIG/AMP/OUTPUT -> VISITOR/SCOPE")
    box.press("Enter")
    shown.page.get_by_text("was true 1 time").wait_for()
    shown.shot("demo-asked")
    box.fill("edge of nothing >")
    box.press("Enter")
    shown.page.locator(".asked [role=alert]").wait_for()
    shown.refused()


def test_a_question_lists_its_stretches_and_takes_examples(show: Show, demo: Path, landmarks: Any) -> None:
    shown = show(demo)
    shown.page.keyboard.press("a")
    examples = shown.page.get_by_role("list", name="Predicates")
    examples.get_by_role("button", name="edges >= 2", exact=True).click()
    box = shown.page.get_by_role("searchbox", name="Ask")
    assert box.input_value() == "edges >= 2"
    box.fill("session " + str(landmarks.visitor_opened))
    box.press("Enter")
    asked = shown.page.locator(".asked")
    asked.get_by_text("the stretch").click()
    stretch = asked.get_by_role("list", name="Stretches").get_by_role("listitem")
    assert stretch.count() == 1
    stretch.get_by_role("button", name=str(landmarks.visitor_lost), exact=True).click()
    assert shown.at == landmarks.visitor_lost


def test_a_path_is_shown_at_every_moment(show: Show, demo: Path, landmarks: Any) -> None:
    at = landmarks.visitor_connected
    shown = show(demo, query=f"?at={at}&select=topic RIG/AMP/SOURCE/OUTPUT")
    inspector = shown.region("Inspector")
    inspector.get_by_text("A path from or to here").click()
    form = inspector.get_by_role("form", name="Path")
    form.get_by_role("combobox", name="The other topic").fill("VISITOR/SCOPE")
    form.get_by_role("button", name="Show the path").click()
    way = inspector.get_by_role("region", name="Path")
    way.get_by_text("there 1 time").wait_for()
    shown.until_address("path", "RIG/AMP/SOURCE/OUTPUT ~> VISITOR/SCOPE")
    with Ledger.open(demo, "r") as ledger:
        timeline = Timeline(ledger)
        for seq in (at, at - 1, at, landmarks.visitor_lost):
            while shown.at != seq:
                shown.page.keyboard.press("ArrowRight" if shown.at < seq else "ArrowLeft")
            wanted = timeline.path("RIG/AMP/SOURCE/OUTPUT", "VISITOR/SCOPE", seq, through_units=True).steps
            assert way.get_by_role("listitem").count() == len(wanted)
            on = shown.page.evaluate(
                "[...(window.ledger.view.painter.scene.related ?? [])].map(each => window.ledger.model.edgeName(each))"
            )
            edges = timeline.lifetimes.edges_at(seq)
            steps = [(step.from_topic, step.to_topic) for step in wanted]
            assert sorted(on) == sorted(" -> ".join(step) for step in steps if step in edges)
    assert "There is no way at this moment." in way.inner_text()
    shown.open(f"?at={at}&path=RIG/AMP/SOURCE/OUTPUT ~> VISITOR/SCOPE")
    shown.region("Inspector").get_by_role("region", name="Path").get_by_text("there 1 time").wait_for()
    shown.shot("demo-path")
    shown.button("Forget this path").click()
    shown.until(lambda: "path=" not in shown.page.url, "the address forgets the path")


def test_what_stands_between_a_topic_and_its_messages(show: Show, demo: Path, landmarks: Any) -> None:
    shown = show(demo, query=f"?at={landmarks.visitor_lost}&select=topic VISITOR/SCOPE")
    shown.button("Why does nothing arrive here?").click()
    found = shown.page.get_by_role("region", name="Explanation")
    found.wait_for()
    with Ledger.open(demo, "r") as ledger:
        wanted = Timeline(ledger).explain("VISITOR/SCOPE", landmarks.visitor_lost)
    for reason in wanted.reasons:
        assert reason in found.inner_text()


def test_what_feeds_itself_is_found(show: Show, tmp_path: Path) -> None:
    """``ez.Relay`` of 3.10 can get back what it sends: both its edges are on one topic."""
    path = tmp_path / "loop.ledger"
    relay = {"relay_input_topic": "BOX/RELAY/INPUT", "relay_output_topic": "BOX/RELAY/OUTPUT"}
    box = {
        **{"$": "CollectionMetadata", "address": "BOX", "name": "BOX", "component_type": "Box", "topics": {}},
        **{"initial_settings": {"$": "t", "v": [None, ""]}, "children": [], "relays": {"MID": relay}},
    }
    metadata = {"$": "GraphMetadata", "schema_version": 1, "root_name": None, "components": {"BOX": box}}
    with Ledger.open(path) as ledger:
        ledger.append([ev.SessionOpened(uuid="00000000-0000-0000-0000-000000000001", label="LAB")])
        ledger.append([ev.MetadataRegistered(session=1, metadata=metadata)])
        ledger.append([ev.EdgeConnected(from_topic="BOX/MID", to_topic="BOX/RELAY/INPUT", owner=1)])
        ledger.append([ev.EdgeConnected(from_topic="BOX/RELAY/OUTPUT", to_topic="BOX/MID", owner=1)])
    shown = show(path, own=True)
    shown.button("Look for loops and doubts").click()
    found = shown.page.get_by_role("region", name="Loops and doubts")
    found.get_by_text("BOX/RELAY/INPUT feeds itself").wait_for()
    assert "No doubt about settings" in found.inner_text()
    shown.shot("loop")
    shown.page.keyboard.press("ArrowLeft")
    shown.button("Look for loops and doubts").click()
    found.get_by_text("Nothing feeds itself").wait_for()


CLOCKS = Path(__file__).parents[1] / "golden" / "clocks.ledger"


def test_time_is_what_passed_whatever_the_clock_did(show: Show, tmp_path: Path) -> None:
    """A recording in which the wall clock was set, set back, and the machine slept."""
    path = tmp_path / "clocks.ledger"
    path.write_bytes(CLOCKS.read_bytes())
    shown = show(path, own=True, query="?axis=time")
    with Ledger.open(path, "r") as ledger:
        timeline, first, last = Timeline(ledger), ledger.first, ledger.head
        seqs = [event.seq for event in ledger.entries()]
        passed = {seq: timeline.elapsed(first, seq) for seq in seqs}
        jumps = [jump.seq for jump in timeline.landmarks.readings.jumps()]
    found = shown.page.evaluate("seqs => seqs.map(seq => window.ledger.model.history.elapsedAt(seq))", seqs)
    assert len(jumps) >= 3
    for seq, seconds in zip(seqs, found, strict=True):
        if passed[seq].clock == "mono":
            assert seconds == pytest.approx(passed[seq].ns / 1e9, abs=2e-6), seq
    assert found == sorted(found)  # no event lies before the one before it
    assert shown.page.evaluate("window.ledger.model.ledger.jumps.map(each => each.seq)") == jumps
    shown.page.keyboard.press("Home")
    slider = shown.moment.bounding_box()
    shown.page.mouse.click(slider["x"] + slider["width"] - 6, slider["y"] + 30)
    assert shown.at == last
    shown.shot("clocks")


def test_the_view_is_saved_as_a_picture(show: Show, demo: Path, tmp_path: Path) -> None:
    shown = show(demo, query="?at=35&pin=33")
    with shown.page.expect_download() as download:
        shown.button("SVG").click()
    download.value.save_as(tmp_path / "view.svg")
    text = (tmp_path / "view.svg").read_text(encoding="utf-8")
    assert text.startswith("<svg")
    assert "GAIN" in text
    with shown.page.expect_download() as download:
        shown.button("PNG").click()
    download.value.save_as(tmp_path / "view.png")
    assert (tmp_path / "view.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "view.png").stat().st_size > 5000


def test_a_saved_picture_has_the_lens_and_hides_what_is_collapsed(
    show: Show, demo: Path, landmarks: Any, tmp_path: Path
) -> None:
    def saved(query: str) -> str:
        shown = show(demo, query=f"?at={landmarks.visitor_connected}&{query}")
        with shown.page.expect_download() as download:
            shown.button("SVG").click()
        download.value.save_as(tmp_path / "view.svg")
        return (tmp_path / "view.svg").read_text(encoding="utf-8")

    wiring, owners, folded = saved("lens=wiring"), saved("lens=owner"), saved("collapsed=RIG/AMP")
    ours, theirs = "#3d5a80", "#0f766e"  # the colours of the two sessions
    assert ours not in wiring
    assert ours in owners
    assert theirs in owners
    assert ">GAIN<" in wiring
    assert ">GAIN<" not in folded
    assert ">AMP<" in folded


def test_a_process_tells_what_it_runs(show: Show, demo: Path, landmarks: Any) -> None:
    with Ledger.open(demo, "r") as ledger:
        state = Timeline(ledger).at(landmarks.visitor_connected)
    shown = show(demo, query=f"?at={landmarks.visitor_connected}")
    inspector = shown.region("Inspector")
    for process in state.processes.values():
        shown.page.keyboard.press("/")
        shown.page.keyboard.type(f"pid {process.pid} ")
        shown.page.get_by_role("dialog", name="Search").get_by_role("option").first.click()
        inspector.get_by_text(str(process.pid), exact=True).wait_for()
        for unit in process.units:
            assert inspector.get_by_role("button", name=unit, exact=True).count() == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_label_is_clipped(show: Show, demo: Path, scheme: str) -> None:
    shown = show(demo, query="?at=35", color_scheme=scheme)
    for _ in range(3):
        shown.page.keyboard.press("+")
    shown.rest()
    clipped = shown.page.eval_on_selector_all(
        ".box .port span, .box.unit .name",
        """all => all.filter(each => each.clientWidth && each.scrollWidth > each.clientWidth + 1)
            .map(each => each.textContent)""",
    )
    wide = shown.page.eval_on_selector_all(
        ".box.unit .name, .box.unit .port",
        """all => all.filter(each => {
            const box = each.closest('.box').getBoundingClientRect(), own = each.getBoundingClientRect();
            return own.left < box.left - 4 || own.right > box.right + 4;
        }).map(each => each.textContent)""",
    )
    assert clipped == []
    assert wide == []
    shown.shot(f"demo-{scheme}")


def test_nothing_is_asked_of_another_machine(show: Show, demo: Path) -> None:
    shown = show(demo, query="?at=35")
    assert shown.requests
    assert all(request.startswith((shown.address, "data:", "blob:")) for request in shown.requests)


def test_it_fits_a_tablet(show: Show, demo: Path) -> None:
    for name, size in (("tablet", (1024, 768)), ("tablet-upright", (768, 1024))):
        shown = show(demo, query="?at=35", viewport={"width": size[0], "height": size[1]}, has_touch=True)
        assert shown.page.evaluate("document.documentElement.scrollWidth") <= size[0]
        for region in ("Graph", "Timeline", "Inspector", "Events"):
            box = shown.region(region).bounding_box()
            assert box["width"] > 100
            assert box["height"] > 60
            assert box["x"] + box["width"] <= size[0] + 1
            assert box["y"] + box["height"] <= size[1] + 1
        shown.shot(f"demo-{name}")


@pytest.mark.parametrize("width", [1440, 1024, 900])
def test_in_a_narrow_window_nothing_is_squeezed_or_covered(show: Show, demo: Path, width: int) -> None:
    shown = show(demo, query="?at=30", viewport={"width": width, "height": 700})
    bar, transport = (shown.page.locator(f".{each}").bounding_box() for each in ("bar", "transport"))
    assert bar["height"] < 75, "one row of buttons, and one of the legend at most"
    assert transport["height"] < 50
    assert shown.page.get_by_label("absent in grey").is_visible()
    zoom = shown.page.locator(".react-flow__controls").bounding_box()
    for node in shown.page.locator(".react-flow__node").all():
        box = node.bounding_box()
        apart = box["x"] > zoom["x"] + zoom["width"] or box["y"] + box["height"] < zoom["y"]
        assert apart, node.inner_text()
