"""Following a recording under way: real ezmsg programs that come, connect and go."""

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from ezmsg.ledger.events import EdgeConnected, EdgeDisconnected
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.questions.timeline import Timeline

from ..ezmsg.suite.environments import HERE, STABLE, Environment  # noqa: TID252 - the tests are no package

Show = Callable[..., Any]

PIPELINE = '''
import asyncio, os, sys
import ezmsg.core as ez

class Source(ez.Unit):
    OUTPUT = ez.OutputStream(int)

    @ez.publisher(OUTPUT)
    async def count(self):
        number = 0
        while not os.path.exists(sys.argv[1]):
            yield self.OUTPUT, number
            number += 1
            await asyncio.sleep(0.02)
        raise ez.NormalTermination

class Sink(ez.Unit):
    INPUT = ez.InputStream(int)

    @ez.subscriber(INPUT)
    async def take(self, number: int) -> None:
        pass

class Rig(ez.Collection):
    SOURCE = Source()
    SINK = Sink()

    def network(self):
        return ((self.SOURCE.OUTPUT, self.SINK.INPUT),)

if __name__ == "__main__":
    ez.run(RIG=Rig())
'''

VISITOR = '''
import asyncio, sys
import ezmsg.core as ez

async def main():
    async with ez.GraphContext() as context:
        await context.connect("RIG/SOURCE/OUTPUT", "SCOPE/IN")
        print("connected", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        await context.disconnect("RIG/SOURCE/OUTPUT", "SCOPE/IN")
        print("disconnected", flush=True)

asyncio.run(main())
'''


class Rig:
    """A served graph on which programs come and go."""

    def __init__(self, desk: Any, folder: Path) -> None:
        self.desk, self.folder = desk, folder
        self.ledger = folder / "rig.ledger"
        self.server = desk.start("ezmsg-ledger", "serve", self.ledger, "--address", desk.free)
        self.address = self.server.until(r"EZMSG_GRAPHSERVER_ADDR=(\S+)")[1]
        self.go = folder / "go"

    def start(self, name: str, text: str, *arguments: Any, python: str | Path = "python", **options: Any) -> Any:
        script = self.folder / f"{name}.py"
        script.write_text(text)
        return self.desk.start(python, script, *arguments, EZMSG_GRAPHSERVER_ADDR=self.address, **options)

    def stop(self) -> None:
        os.kill(self.server.pid, signal.SIGTERM)
        assert self.server.end().code == 0


@pytest.fixture
def rig(desk: Any, tmp_path: Path) -> Rig:
    return Rig(desk, tmp_path)


def edges_now(rig: Rig) -> dict[str, list[int]]:
    with Ledger.open(rig.ledger, "r") as ledger:
        edges = Timeline(ledger).lifetimes.edges_at(ledger.head)
    return {f"{a} -> {b}": sorted(owner or 0 for owner in owners) for (a, b), owners in edges.items()}


def follow(shown: Any, rig: Rig, edge: str, there: bool) -> None:
    """Until the page shows, or no longer shows, an edge; then it shows what the ledger holds."""
    shown.until(lambda: (edge in shown.page.locator('ul[aria-label="Edges"]').inner_text()) == there, edge)


@pytest.mark.parametrize(
    "side", [HERE, pytest.param(STABLE, marks=pytest.mark.environments)], ids=lambda side: f"{side.name}-{side.ezmsg}"
)
def test_a_pipeline_is_followed_while_it_changes(show: Show, rig: Rig, side: Environment) -> None:
    python = side.python()
    shown = show(rig.ledger, own=True)
    assert shown.button("Follow").get_attribute("aria-pressed") == "true"
    pipeline = rig.start("pipeline", PIPELINE, rig.go, python=python)
    follow(shown, rig, "RIG/SOURCE/OUTPUT -> RIG/SINK/INPUT", True)
    shown.region("Graph").get_by_role("button", name="RIG/SINK", exact=True).wait_for()
    before = shown.page.locator('[data-address="RIG/SOURCE"]').bounding_box()
    visitor = rig.start("visitor", VISITOR, python=python, stdin="\n")
    follow(shown, rig, "RIG/SOURCE/OUTPUT -> RIG/SINK/INPUT", True)
    assert visitor.end().code == 0
    shown.region("Events").get_by_text("SCOPE/IN").first.wait_for()
    assert before is not None
    # going back pauses following; Escape returns
    shown.page.keyboard.press("ArrowLeft")
    assert shown.button("Follow").get_attribute("aria-pressed") == "false"
    paused = shown.at
    rig.go.touch()
    assert pipeline.end().code == 0
    shown.until(lambda: int(shown.moment.get_attribute("aria-valuemax")) > paused + 3, "the history grows")
    assert shown.at == paused
    shown.page.keyboard.press("Escape")
    follow(shown, rig, "RIG/SOURCE/OUTPUT -> RIG/SINK/INPUT", False)
    shown.until(lambda: shown.at == int(shown.moment.get_attribute("aria-valuemax")), "it is at the end")
    shown.shot("live")
    rig.stop()
    shown.page.get_by_role("status").filter(has_text="closed").wait_for()
    with Ledger.open(rig.ledger, "r") as ledger:
        shown.until(lambda: int(shown.moment.get_attribute("aria-valuemax")) == ledger.head, "nothing is missed")
        timeline = Timeline(ledger)
        for seq in range(1, ledger.head, 3):
            box = shown.page.get_by_role("textbox", name="Go to")
            box.fill(str(seq))
            box.press("Enter")
            wanted = {f"{a} -> {b}" for a, b in timeline.lifetimes.edges_at(seq)}
            assert set(shown.edges(seq)) == wanted


def port_of(shown: Any) -> str:
    return str(shown.address.split(":")[2].split("/")[0])


def alert(shown: Any, text: str) -> Any:
    return shown.page.get_by_role("alert").filter(has_text=text)


def test_a_server_that_is_gone_is_waited_for_and_one_with_another_token_is_told(
    show: Show, demo: Path, desk: Any
) -> None:
    shown = show(demo, own=True, query="?at=20")
    shown.program.interrupt()
    assert shown.program.end().code == 0
    shown.page.get_by_role("status").filter(has_text="the server is gone").wait_for()
    alert(shown, "The server does not answer").wait_for()
    shown.page.keyboard.press("ArrowRight")
    assert shown.at == 21  # what was sent is there
    again = desk.start("ezmsg-ledger", "debug", demo, "--no-open", "--port", port_of(shown))
    again.until(r"showing")
    shown.page.get_by_role("status").filter(has_text="another server answers").wait_for()
    alert(shown, "each start makes a new token").wait_for()
    shown.page.keyboard.press("ArrowRight")
    assert shown.at == 22
    shown.shot("another-token")
    shown.refused()


class Wire:
    """A cable between the browser and a debugger that can be pulled out and put back: real connections, which break."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._pairs: list[socket.socket] = []
        self.port = 0
        self.plug()

    def plug(self) -> None:
        self._door = socket.create_server(("127.0.0.1", self.port))
        self.port = self._door.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._door,), daemon=True).start()

    def pull(self) -> None:
        for each in (self._door, *self._pairs):
            with contextlib.suppress(OSError):  # the other side may have gone before
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self._pairs.clear()

    def _accept(self, door: socket.socket) -> None:
        while True:
            try:
                near = door.accept()[0]
            except OSError:  # the cable is pulled
                return
            far = socket.create_connection(("127.0.0.1", self._to))
            self._pairs += [near, far]
            for a, b in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(a, b), daemon=True).start()

    @staticmethod
    def _carry(a: socket.socket, b: socket.socket) -> None:
        with contextlib.suppress(OSError):  # the cable is pulled
            while octets := a.recv(65536):
                b.sendall(octets)
            b.shutdown(socket.SHUT_WR)


def test_a_connection_that_breaks_is_made_again(show: Show, rig: Rig) -> None:
    """Nothing that was recorded meanwhile is missed."""
    shown = show(rig.ledger, own=True)
    wire = Wire(int(port_of(shown)))
    shown.address = shown.address.replace(port_of(shown), str(wire.port))
    shown.open()
    wire.pull()
    alert(shown, "The server does not answer").wait_for()
    pipeline = rig.start("pipeline", PIPELINE, rig.go)
    edge = "RIG/SOURCE/OUTPUT -> RIG/SINK/INPUT"
    shown.until(lambda: edge in edges_now(rig), "it is recorded")
    assert edge not in shown.page.locator('ul[aria-label="Edges"]').inner_text()
    wire.plug()
    follow(shown, rig, edge, True)
    alert(shown, "The server does not answer").wait_for(state="detached")
    rig.go.touch()
    assert pipeline.end().code == 0
    follow(shown, rig, edge, False)
    shown.refused()


def test_a_ledger_that_is_removed_while_it_is_shown(show: Show, demo: Path, tmp_path: Path) -> None:
    path = tmp_path / "now.ledger"
    path.write_bytes(demo.read_bytes())
    shown = show(path, own=True, query="?at=20")
    before = shown.edges(20)
    path.unlink()
    alert(shown, "What comes before").wait_for()
    shown.page.keyboard.press("ArrowLeft")
    shown.page.keyboard.press("ArrowRight")
    assert shown.edges(20) == before
    path.write_bytes(demo.read_bytes())
    alert(shown, "What comes before").wait_for(state="detached")
    assert shown.edges(20) == before


def test_a_ledger_that_is_replaced_while_it_is_shown(show: Show, demo: Path, tmp_path: Path) -> None:
    path = tmp_path / "now.ledger"
    path.write_bytes(demo.read_bytes())
    shown = show(path, own=True)
    assert shown.page.locator('[data-address="RIG/AMP/GAIN"]').count() == 1
    with Ledger.open(tmp_path / "other.ledger") as other:
        other.append([EdgeConnected(from_topic="LAB/A/OUT", to_topic="LAB/B/IN", owner=None)])
    (tmp_path / "other.ledger").replace(path)
    alert(shown, "There is another ledger in this place now").wait_for()
    assert shown.edges(1) == {"LAB/A/OUT -> LAB/B/IN": ""}
    assert shown.page.locator('[data-address="RIG/AMP/GAIN"]').count() == 0
    shown.button("Understood").click()
    assert alert(shown, "another ledger").count() == 0


def test_a_ledger_that_is_rotated_while_it_is_shown_goes_on(
    show: Show, demo: Path, tmp_path: Path, desk: Any
) -> None:
    path = tmp_path / "now.ledger"
    path.write_bytes(demo.read_bytes())
    shown = show(path, own=True)
    end = shown.at
    assert desk.do("ezmsg-ledger", "rotate", path).code == 0
    assert path.is_dir()
    with Ledger.open(path) as ledger:
        ledger.append([EdgeConnected(from_topic="LATER/A/OUT", to_topic="LATER/B/IN", owner=None)])
        head = ledger.head
    shown.until(lambda: shown.moment.get_attribute("aria-valuemax") == str(head), "the new segment is read")
    assert head > end
    shown.page.keyboard.press("Escape")
    assert shown.edges(head) == {"LATER/A/OUT -> LATER/B/IN": ""}
    shown.region("Graph").get_by_role("button", name="LATER/B", exact=True).wait_for()
    assert shown.page.get_by_role("alert").count() == 0


def test_a_ledger_that_is_damaged_while_it_is_shown(show: Show, demo: Path, tmp_path: Path) -> None:
    path = tmp_path / "now.ledger"
    data = bytearray(demo.read_bytes())
    half = data.index(b"\n", data.index(b'"ledger.commit"', len(data) // 2)) + 1
    path.write_bytes(data[:half])
    shown = show(path, own=True)
    before, there = shown.at, shown.edges()
    data[data.index(b'"ledger.commit"', half) + 3] ^= 1
    with path.open("ab") as file:
        file.write(data[half:])
    alert(shown, "now.ledger").wait_for()
    assert shown.edges(before) == there
    shown.shot("damaged-while-shown")


def test_a_ledger_that_is_cut_back_while_it_is_shown(show: Show, demo: Path, tmp_path: Path) -> None:
    path = tmp_path / "now.ledger"
    data = demo.read_bytes()
    path.write_bytes(data)
    shown = show(path, own=True)
    end = shown.at
    half = data.index(b"\n", data.index(b'"ledger.commit"', len(data) // 2)) + 1
    os.truncate(path, half)
    alert(shown, "The ledger was cut back").wait_for()
    shown.until(lambda: int(shown.moment.get_attribute("aria-valuemax")) < end, "what is left is shown")
    with Ledger.open(path, "r") as ledger:
        assert shown.at == ledger.head
        wanted = {f"{a} -> {b}" for a, b in Timeline(ledger).lifetimes.edges_at(ledger.head)}
    assert shown.edges().keys() == wanted


def test_a_damaged_ledger_says_so(show: Show, demo: Path, tmp_path: Path) -> None:
    path = tmp_path / "damaged.ledger"
    data = bytearray(demo.read_bytes())
    data[data.index(b'"ledger.commit"', data.index(b'"seq":30,')) + 3] ^= 1
    path.write_bytes(data)
    shown = show(path, own=True)
    said = shown.page.get_by_role("alert").inner_text()
    assert "damaged.ledger" in said
    assert 20 < shown.at < 30
    assert f"up to seq {shown.at}" in said
    shown.shot("damaged")


def otherwise_wired(demo: Path, path: Path, upto: int, rig: int) -> Path:
    """The demo up to an event, and then wired otherwise: an edge less, and two that it has never had."""
    edges = [
        EdgeDisconnected(from_topic="RIG/TUNER/OUTPUT_SETTINGS", to_topic="RIG/AMP/INPUT_SETTINGS", owner=rig),
        EdgeConnected(from_topic="RIG/AMP/OUTPUT", to_topic="STORE/WRITER/INPUT", owner=rig),
        EdgeConnected(from_topic="RIG/AMP/SOURCE/OUTPUT", to_topic="RIG/MONITOR/INPUT", owner=rig),
    ]
    with Ledger.open(demo, "r") as ledger, Ledger.open(path) as other:
        for event in ledger.entries(0, upto):
            other.append([structs.replace(event, seq=0, time=0)])
        other.append(edges)
    return path


def test_another_ledger_is_compared_by_names(show: Show, demo: Path, landmarks: Any, tmp_path: Path) -> None:
    other = otherwise_wired(demo, tmp_path / "other.ledger", landmarks.visitor_connected, landmarks.rig_opened)
    at = landmarks.gain_raised - 1
    shown = show(demo, "--with", other, query=f"?at={at}")
    writer = shown.page.locator('[data-address="STORE/WRITER"]')
    assert writer.get_attribute("data-s") == "hidden"  # what only the other has is no part of this one
    assert "RIG/AMP/OUTPUT -> STORE/WRITER/INPUT" not in shown.edges()
    group = shown.page.get_by_role("group", name="Compare with the other ledger")
    group.get_by_role("button", name="Compare").click()
    words = shown.page.get_by_role("region", name="By names")
    words.wait_for()
    with Ledger.open(other, "r") as ledger:
        head = ledger.head
    shown.until_address("pin", f"other:{head}")

    def told(seq: int) -> dict[str, str]:
        """As the command tells it, from there to here."""
        with Ledger.open(demo, "r") as here, Ledger.open(other, "r") as there:
            changes = Timeline(there).compare(head, seq, Timeline(here)).of("edges")
        signs = {(False, True): "added", (True, False): "removed", (True, True): "other owners"}
        return {" -> ".join(each.name): signs[bool(each.before), bool(each.after)] for each in changes}

    for seq in (at, landmarks.visitor_opened - 1, landmarks.visitor_connected, landmarks.visitor_lost, at):
        while shown.at != seq:
            shown.page.keyboard.press("ArrowRight" if shown.at < seq else "ArrowLeft")
        wanted = told(seq)
        assert wanted["RIG/AMP/OUTPUT -> STORE/WRITER/INPUT"] == "removed"
        assert {edge: word for edge, word in shown.edges(seq, f"other:{head}").items() if word} == wanted
    assert writer.get_attribute("data-s") == "removed"
    assert "gain 4 \u2192 2" in words.inner_text()
    assert shown.page.locator('[data-address="RIG/AMP/GAIN"]').get_attribute("data-settings")
    shown.shot("with")
    shown.open(f"?at={at}&pin=other:{head}&select=RIG/AMP/OUTPUT -> STORE/WRITER/INPUT")
    assert "only in other.ledger" in shown.region("Inspector").inner_text()
    shown.button("Stop").click()
    assert "RIG/AMP/OUTPUT -> STORE/WRITER/INPUT" not in shown.edges(at)


def test_a_moment_that_the_other_ledger_has_not(show: Show, demo: Path) -> None:
    shown = show(demo, "--with", demo)
    group = shown.page.get_by_role("group", name="Compare with the other ledger")
    group.get_by_role("textbox").fill("mark:never")
    group.get_by_role("textbox").press("Enter")
    assert "never" in group.get_by_role("alert").inner_text()
    shown.refused()


def test_an_empty_ledger_and_one_of_refusals(show: Show, tmp_path: Path) -> None:
    Ledger.open(tmp_path / "empty.ledger").close()
    shown = show(tmp_path / "empty.ledger", own=True)
    assert shown.region("Graph").get_by_text("Nothing has been recorded yet.").is_visible()
    assert shown.at == 0
    for key in ("ArrowRight", "ArrowLeft", "End", "p", "p", " ", " "):
        shown.page.keyboard.press(key)
    shown.shot("empty")
