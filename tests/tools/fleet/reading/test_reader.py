"""Reading what was shipped: as any ledger, live, and with every fault of the stream found and named."""

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger.errors import DamagedLedger, HistoryChanged, LedgerClosed, LogError, NotALedger
from ezmsg.ledger.events import Mark
from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.cli import main
from ezmsg.ledger.tools.fleet.jetstream.nats_broker import NatsBroker
from ezmsg.ledger.tools.fleet.jetstream.place import parse
from ezmsg.ledger.tools.fleet.jetstream.stream import ready
from ezmsg.ledger.tools.fleet.message import Message, stored
from ezmsg.ledger.tools.fleet.shipping.shipper import Shipper
from ezmsg.ledger.tools.fleet.shipping.source import Source
from tests.brokers import Node, messages, put, uid

Made = Callable[..., Path]


def silent(text: str) -> None:
    """Nobody listens."""


class Shipped:
    """A ledger that is shipped to a stream whenever ``ship`` is called."""

    def __init__(self, path: Path, node: Node, stream: str, piece_max: int = 1000) -> None:
        self.broker = NatsBroker(parse(node.url, stream))
        ready(self.broker, None, silent)
        self.source = Source(str(path), piece_max)
        self._shipper = Shipper(self.source, self.broker, "rig-3", "here:1", silent)
        self.address = f"{node.url}/{stream}/rig-3"

    def ship(self) -> None:
        while self._shipper.step() is not None:
            pass

    def close(self) -> None:
        self.source.close()
        self.broker.close()


@pytest.fixture
def shipped(node: Node, stream: str) -> Iterator[Callable[..., Shipped]]:
    made: list[Shipped] = []

    def make(path: Path, **options: Any) -> Shipped:
        made.append(Shipped(path, node, stream, **options))
        made[-1].ship()
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_it_is_read_like_the_file(shipped: Callable[..., Shipped], recorded: Made) -> None:
    path = recorded(commits=30)
    there = shipped(path)
    with Ledger.open(path, "r") as here, Ledger.open(there.address, "r") as reader:
        assert (reader.id, reader.head, reader.created) == (here.id, here.head, here.created)
        assert (reader.receipt, reader.place, reader.origins) == (here.receipt, here.place, here.origins)
        assert list(reader.entries(7, 44)) == list(here.entries(7, 44))
        assert reader.seq_at(2**62) == here.head
        assert reader.in_place
        assert reader.damage is None
        reader.check()
        found, own = reader.verify(), here.verify()
        assert (found.sound, found.sha256, found.events, found.offset) == (True, own.sha256, own.events, own.offset)
    with pytest.raises(LedgerClosed):
        list(reader.read())


def test_by_its_id_too(shipped: Callable[..., Shipped], recorded: Made, node: Node, stream: str) -> None:
    there = shipped(recorded())
    with Ledger.open(f"{node.url}/{stream}/{there.source.id}", "r") as reader:
        assert reader.head == 15


def test_of_several_ledgers_of_a_rig_the_last_one(
    shipped: Callable[..., Shipped], recorded: Made, node: Node, stream: str
) -> None:
    shipped(recorded("one.ledger", commits=1))
    shipped(recorded("two.ledger", commits=2))
    with Ledger.open(f"{node.url}/{stream}/rig-3", "r") as reader:
        assert reader.head == 6


def test_a_tail_is_history_then_live_across_segments(shipped: Callable[..., Shipped], tmp_path: Path) -> None:
    path = tmp_path / "live.ledger"
    seen: list[int] = []
    caught_up, done = threading.Event(), threading.Event()
    with Ledger.open(path, segmented=True, durability="none") as ledger:
        ledger.append([Mark(name="a"), Mark(name="b")])
        there = shipped(path)

        def follow() -> None:
            with Ledger.open(there.address, "r") as reader:
                for batch in reader.tail(after=1, poll=0.005, stop=done):
                    seen.extend(event.seq for event in batch)
                    caught_up.set()
                    if seen[-1] == 42:
                        return

        thread = threading.Thread(target=follow)
        thread.start()
        assert caught_up.wait(20)
        for number in range(40):
            ledger.append([Mark(name=str(number) * 50)])
            if number % 7 == 0:
                ledger.rotate()
            there.ship()
        thread.join(30)
        done.set()
        assert not thread.is_alive()
    assert seen == list(range(2, 43))


def test_a_slow_reader_loses_nothing(shipped: Callable[..., Shipped], tmp_path: Path) -> None:
    """Hundreds of messages come while it looks at one."""
    path = tmp_path / "live.ledger"
    with Ledger.open(path, durability="none") as ledger:
        ledger.append([Mark(name="first")])
        there = shipped(path, piece_max=200)
        with Ledger.open(there.address, "r") as reader:
            tail = reader.tail(poll=0.001)
            seen = [event.seq for event in next(tail)]
            for _ in range(200):
                ledger.append([Mark(name="x" * 400)])
            there.ship()
            while seen[-1] < 201:
                seen += [event.seq for event in next(tail)]
    assert seen == list(range(1, 202))


def test_the_broker_goes_away_while_it_is_followed(tmp_path: Path, recorded: Made) -> None:
    node = Node(tmp_path).start()
    path = recorded()
    there = Shipped(path, node, "LEDGERS")
    there.ship()
    with Ledger.open(there.address, "r") as reader:
        seen: list[int] = []
        down, up, done = threading.Event(), threading.Event(), threading.Event()

        def follow() -> None:
            for batch in reader.tail(poll=0.01, stop=done):
                seen.extend(event.seq for event in batch)
                down.set()
                if seen[-1] == 16:
                    up.set()

        thread = threading.Thread(target=follow)
        thread.start()
        assert down.wait(20)
        node.kill()
        with Ledger.open(path) as ledger:
            ledger.append([Mark(name="meanwhile")])
        node.start()
        there.close()
        again = Shipped(path, node, "LEDGERS")
        again.ship()
        assert up.wait(30)
        done.set()
        thread.join(20)
        assert seen == list(range(1, 17))
        again.close()
        node.kill()


def test_a_stream_that_was_restarted_empty_has_another_history(tmp_path: Path, recorded: Made) -> None:
    node = Node(tmp_path).start()
    there = Shipped(recorded(), node, "LEDGERS")
    there.ship()
    with Ledger.open(there.address, "r") as reader:
        tail = reader.tail(poll=0.01)
        assert next(tail)
        node.stop()
        node.forget()
        node.start()
        ready(NatsBroker(parse(node.url)), None, silent)
        with pytest.raises(HistoryChanged, match="it has lost what it had"):
            next(tail)
        assert not reader.in_place
    there.close()
    node.kill()


# --- what a broker must not be trusted with ---


def changed(message: Message, data: bytes | None = None, **headers: str) -> Message:
    more = {f"Ledger-{key.capitalize()}": value for key, value in headers.items()}
    return message._replace(data=message.data if data is None else data, headers={**message.headers, **more})


def flipped(message: Message) -> Message:
    at = message.data.index(b"xxx")
    return changed(message, message.data[:at] + b"y" + message.data[at + 1 :])


FAULTS: dict[str, tuple[Callable[[list[Message]], list[Message]], str]] = {
    "changed": (lambda all: [*all[:3], flipped(all[3]), *all[4:]], "message 4 holds bytes that are not"),
    "missing": (lambda all: [*all[:3], *all[4:]], "message 4 begins at .* a message is missing"),
    "first missing": (lambda all: all[1:], "message 1 begins at offset .* are missing"),
    "doubled": (lambda all: [*all[:4], all[3], *all[4:]], "message 5 holds .* again: it is doubled"),
    "reordered": (lambda all: [*all[:3], all[4], all[3], *all[5:]], "Message 5 holds what should come next"),
    "another seq stated": (lambda all: [*all[:3], changed(all[3], upto="7000"), *all[4:]], "message 4 states seq 7000"),
    "another digest stated": (lambda all: [*all[:3], changed(all[3], sha256="0" * 64), *all[4:]], "message 4 states"),
    "another place stated": (lambda all: [*all[:3], changed(all[3], offset="3"), *all[4:]], "message 4 holds"),
    "no message of a ledger": (
        lambda all: [*all[:3], all[3]._replace(headers={}), *all[4:]],
        "message 4 is not of a ledger: it has no header Ledger-Segment",
    ),
    "a letter too many": (lambda all: [*all[:3], changed(all[3], all[3].data + b"x"), *all[4:]], "message 5 holds"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_stream_that_was_tampered_with_is_found_and_named(
    shipped: Callable[..., Shipped],
    recorded: Made,
    node: Node,
    stream: str,
    fault: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = recorded(commits=40)
    ledger = shipped(path).source.id
    change, told = FAULTS[fault]
    other = uid()
    with NatsBroker(parse(node.url, other)) as broker:
        ready(broker, None, silent)
    put(node.url, other, ledger, change(messages(node.url, ledger, stream)))
    address = f"{node.url}/{other}/{ledger}"
    sound: list[Any] = []
    if fault == "first missing":
        with pytest.raises(DamagedLedger, match=told):
            Ledger.open(address, "r")
        return
    with Ledger.open(address, "r") as reader, Ledger.open(path, "r") as here:
        with pytest.raises(DamagedLedger, match=told):
            sound.extend(reader.entries())
        assert reader.damage is not None
        assert sound == list(here.entries(until=reader.head))
        assert reader.head >= 3
        found = reader.verify()
        assert not found.sound
        assert not found.torn
        assert len(found.problems) >= 1
        with pytest.raises(DamagedLedger, match=told):
            list(reader.tail())
    assert main(["verify", address]) == exits.DAMAGED
    capsys.readouterr()
    out = tmp_path / "fetched.ledger"
    assert main(["fetch", address, str(out)]) == exits.DAMAGED
    assert out.read_bytes() == path.read_bytes()[: out.stat().st_size], "what is sound before it is there"


def test_a_history_that_was_written_anew_is_another_one(
    shipped: Callable[..., Shipped], recorded: Made, node: Node, stream: str
) -> None:
    """Somebody who can write the stream can make a sound ledger; only a receipt, or the rig, tells."""
    one = shipped(recorded("one.ledger", commits=9))
    two = shipped(recorded("two.ledger", commits=9))
    other = uid()
    with NatsBroker(parse(node.url, other)) as broker:
        ready(broker, None, silent)
    put(node.url, other, one.source.id, messages(node.url, two.source.id, stream))
    with pytest.raises(DamagedLedger, match="is of ledger"):
        Ledger.open(f"{node.url}/{other}/{one.source.id}", "r")


# --- commands ---


@pytest.mark.parametrize(
    "command",
    [
        ["log"], ["show"], ["show", "--at", "3"], ["sessions"], ["verify"], ["verify", "--deep"],
        ["diff", "start", "end"],
        ["why", "RIG/AMP/OUTPUT", "RIG/MONITOR/INPUT"], ["export", "--format", "jsonl"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_commands_say_of_a_shipped_ledger_what_they_say_of_the_file(
    shipped: Callable[..., Shipped], command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    demo = Path(__file__).parents[2] / "documents" / "demo.ledger"
    path = Path(shutil.copy(demo, tmp_path / "demo.ledger"))
    there = shipped(path)
    name, *rest = command
    answers = []
    for location in (str(path), there.address):
        code = main([name, location, *rest])
        out = capsys.readouterr().out
        where = str(path) if location == str(path) else there.address.replace("rig-3", there.source.id)
        answers.append((code, out.replace(where, "LEDGER").replace("demo.ledger", "LEDGER")))
    (code, here), (other_code, elsewhere) = answers
    assert code == other_code == exits.OK
    assert [line.rstrip() for line in here.splitlines() if "LEDGER" not in line] == [
        line.rstrip() for line in elsewhere.splitlines() if "LEDGER" not in line
    ]


@pytest.mark.parametrize("command", [["repair"], ["rotate"], ["receipt"], ["cut", "1", "2", "-o", "x.ledger"]])
def test_commands_that_need_a_file_say_so(
    shipped: Callable[..., Shipped], recorded: Made, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    there = shipped(recorded())
    name, *rest = command
    assert main([name, there.address, *rest]) != exits.OK
    assert "ezmsg-ledger fetch" in capsys.readouterr().err


def test_it_cannot_be_recorded_to(node: Node) -> None:
    with pytest.raises(LogError, match="only a ledger on this machine"):
        Ledger.open(f"{node.url}/LEDGERS/x")


def test_a_ledger_that_is_not_there(
    shipped: Callable[..., Shipped], recorded: Made, node: Node, stream: str, capsys: pytest.CaptureFixture[str]
) -> None:
    there = shipped(recorded())
    with pytest.raises(NotALedger, match="rig-4"):
        Ledger.open(there.address.replace("rig-3", "rig-4"), "r")
    assert main(["log", there.address.replace("rig-3", "rig-4")]) == exits.NOT_A_LEDGER
    assert "rig-3" in capsys.readouterr().err
    assert main(["log", f"{node.url}/NOWHERE/rig-3"]) == exits.USAGE
    assert "there is no stream NOWHERE" in capsys.readouterr().err
    assert main(["log", f"{node.url}/{stream}"]) == exits.USAGE
    assert "names no ledger" in capsys.readouterr().err


# --- fetching ---


def test_a_fetch_is_byte_identical_and_goes_on(
    shipped: Callable[..., Shipped], recorded: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = recorded(commits=30), tmp_path / "out.ledger"
    there = shipped(path)
    assert main(["fetch", there.address, str(out)]) == exits.OK
    assert out.read_bytes() == path.read_bytes()
    with Ledger.open(path, durability="none") as ledger:
        ledger.append([Mark(name="later")])
    there.ship()
    before = out.stat().st_size
    capsys.readouterr()
    assert main(["fetch", there.address, str(out), "--json"]) == exits.OK
    assert f'"bytes": {path.stat().st_size - before}' in capsys.readouterr().out, "what is there is not fetched again"
    assert out.read_bytes() == path.read_bytes()


def test_a_fetch_that_was_interrupted_anywhere_goes_on(
    shipped: Callable[..., Shipped], recorded: Made, tmp_path: Path
) -> None:
    path, out = recorded(commits=12, events=6), tmp_path / "out.ledger"
    there = shipped(path, piece_max=500)  # commits come in parts, too
    data = path.read_bytes()
    for size in range(0, len(data), 211):
        out.write_bytes(data[:size])
        assert main(["fetch", there.address, str(out)]) == exits.OK, size
        assert out.read_bytes() == data, size


def test_a_folder_is_fetched_as_a_folder(shipped: Callable[..., Shipped], recorded: Made, tmp_path: Path) -> None:
    path, out = recorded(commits=7, segmented=True), tmp_path / "out.ledger"
    there = shipped(path)
    for keep in (0, 1, 3):
        for number, name in enumerate(sorted(each.name for each in out.iterdir()) if keep else []):
            if number >= keep:
                (out / name).unlink()
        assert main(["fetch", there.address, str(out)]) == exits.OK
        assert sorted(each.name for each in out.iterdir()) == sorted(each.name for each in path.glob("*.ledger"))
        assert all(each.read_bytes() == (path / each.name).read_bytes() for each in out.iterdir())


def test_a_fetch_never_writes_over_anything(
    shipped: Callable[..., Shipped], recorded: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = recorded(commits=9)
    there = shipped(path)
    other = recorded("other.ledger")
    before = other.read_bytes()
    assert main(["fetch", there.address, str(other)]) == exits.DAMAGED
    text = tmp_path / "notes.txt"
    text.write_text("mine\n")
    assert main(["fetch", there.address, str(text)]) == exits.USAGE
    assert (other.read_bytes(), text.read_text()) == (before, "mine\n")
    part = tmp_path / "part.ledger"
    part.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with Ledger.open(part) as ledger:  # it goes on by itself
        ledger.append([Mark(name="another end") for _ in range(40)])
    own = part.read_bytes()
    assert main(["fetch", there.address, str(part)]) == exits.DAMAGED
    assert part.read_bytes() == own
    with Ledger.open(other, durability="none"):
        assert main(["fetch", there.address, str(other)]) != exits.OK
    capsys.readouterr()


def test_what_is_fetched_without_a_name(
    shipped: Callable[..., Shipped], recorded: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = shipped(recorded())
    monkeypatch.chdir(tmp_path)
    assert main(["fetch", there.address]) == exits.OK
    assert (tmp_path / f"rig-3-{there.source.id[:8]}.ledger").exists()


def test_stored_messages_are_what_was_shipped(
    shipped: Callable[..., Shipped], recorded: Made, node: Node, stream: str
) -> None:
    there = shipped(recorded())
    last = stored(messages(node.url, there.source.id, stream)[-1])
    assert (last.name, last.shipper) == ("rig-3", "here:1")
    assert last.time > 1_700_000_000 * 10**9
