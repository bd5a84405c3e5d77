"""What comes together is told together, and nothing is lost by it."""

from hypothesis import given
from hypothesis import strategies as st

from ezmsg.ledger.tools.text.bursts import FOLD_MIN, HELD_MAX, LONG_NS, QUIET_NS, Bursts, Line
from ezmsg.ledger.tools.text.phrases import Told
from ezmsg.ledger.tools.text.sentences import Sentence

MS = 10**6


def connected(seq: int, time: int = 0, who: str = "session 2") -> Sentence:
    edge = (f"A{seq}", f"B{seq}")
    burst = ("edges", f"{who} connected", "", False)
    return Sentence(
        seq, time, "edge.connected", Told(f"{who} connected {edge[0]} -> {edge[1]}", "add", (2,), edge, burst)
    )


def endpoint(seq: int, kind: str, time: int = 0) -> Sentence:
    told = Told(f"{kind} {seq} opened", "add", (), (f"T{seq}",), ("endpoints", "opened", kind))
    return Sentence(seq, time, f"{kind}.opened", told)


def plain(seq: int, text: str, tone: str = "", time: int = 0) -> Sentence:
    return Sentence(seq, time, "x", Told(text, tone))


def fold(*sentences: Sentence, folding: bool = True) -> list[Line]:
    bursts = Bursts(folding)
    lines = [line for sentence in sentences for line in bursts.add(sentence)]
    return lines + bursts.flush()


def test_many_of_a_kind_become_one() -> None:
    [line] = fold(*(connected(seq, seq * MS) for seq in range(3, 9)))
    assert (line.first, line.last, line.time, line.tone) == (3, 8, 3 * MS, "add")
    assert line.text == "session 2 connected 6 edges: A3 -> B3, A4 -> B4, A5 -> B5 and 3 more"


def test_an_edge_that_comes_again_and_again_is_named_once() -> None:
    told = Told("session 2 connected A -> B", "add", (2,), ("A", "B"), ("edges", "session 2 connected", "", False))
    [line] = fold(*(Sentence(seq, seq * MS, "edge.connected", told) for seq in range(1, 1201)))
    assert line.text == "session 2 connected 1 edge, 1,200 times in all: A -> B"


def test_few_stay_as_they_are() -> None:
    sentences = [connected(seq) for seq in range(1, FOLD_MIN)]
    assert [line.text for line in fold(*sentences)] == [each.told.text for each in sentences]


def test_what_starts_side_by_side_is_gathered_by_kind_in_the_order_of_the_beginnings() -> None:
    kinds = ["subscriber", "publisher", "channel", "channel", "subscriber"]
    mixed = [each for n, kind in enumerate(kinds) for each in (endpoint(2 * n + 1, kind), connected(2 * n + 2))]
    lines = fold(plain(0, "before"), *mixed, plain(11, "after"))
    assert [(line.first, line.last) for line in lines] == [(0, 0), (1, 9), (2, 10), (11, 11)]
    assert lines[1].text == "1 publisher, 2 subscribers, 2 channels opened"
    assert lines[2].text.startswith("session 2 connected 5 edges")


def test_owners_are_not_mixed_up() -> None:
    lines = fold(*(connected(seq, who=f"session {seq % 2}") for seq in range(12)))
    assert [line.text[:27] for line in lines] == ["session 0 connected 6 edges", "session 1 connected 6 edges"]


def test_a_process_that_registers_at_once_need_not_be_told_to_have_opened() -> None:
    opened = Sentence(1, 0, "process.opened", Told("process 1 opened", burst=("process", 1)))
    registered = Sentence(2, 0, "process.registered", Told("process 1 runs U", burst=("process", 1)))
    assert [line.text for line in fold(opened, registered)] == ["process 1 runs U"]
    assert [line.text for line in fold(opened)] == ["process 1 opened"]


def test_a_pause_ends_a_burst() -> None:
    close = [connected(seq, seq) for seq in range(5)]
    later = [connected(seq, QUIET_NS + seq) for seq in range(5, 10)]
    assert [(line.first, line.last) for line in fold(*close, *later)] == [(0, 4), (5, 9)]


def test_what_matters_stands_alone_and_in_its_place() -> None:
    for tone in ("bad", "warn", "head", "name"):
        lines = fold(*map(connected, range(5)), plain(5, "!", tone), *map(connected, range(6, 11)))
        assert [(line.first, line.last) for line in lines] == [(0, 4), (5, 5), (6, 10)]


def poll(seq: int, time: int, step: str = "asked", unit: str = "U", who: str = "session 2") -> Sentence:
    text = f"{who} sent GET_PROCESS_STATS to {unit}"
    told = Told(text, "", (2,), (unit,), ("polls", f"{who} sent GET_PROCESS_STATS", step))
    return Sentence(seq, time, "request.routed", told)


def test_an_hour_of_a_dashboard_that_is_open_is_a_few_lines() -> None:
    """It asks each process every second: 3,600 requests and as many answers an hour."""
    polls = [poll(2 * n + k, n * 1000 * MS + k, step) for n in range(3600) for k, step in enumerate(("asked", "done"))]
    lines = fold(*polls)
    assert len(lines) <= 7
    assert lines[0].text == "session 2 sent GET_PROCESS_STATS 600 times to U, all answered"
    assert sum(line.last - line.first + 1 for line in lines) == 7200


def test_what_happens_between_polls_stays_in_its_place() -> None:
    lines = fold(*(poll(n, n * 1000 * MS) for n in range(9)), connected(9, 8001 * MS), poll(10, 8002 * MS))
    assert [(line.first, line.last) for line in lines] == [(0, 8), (9, 9), (10, 10)]
    lines = fold(*(poll(n, n * 1000 * MS) for n in range(9)), plain(9, "!", "bad", 8001 * MS))
    assert [line.text for line in lines] == ["session 2 sent GET_PROCESS_STATS 9 times to U", "!"]


def test_polls_of_two_programs_and_answers_alone_are_told_apart() -> None:
    mixed = [poll(n, n * MS, "done", f"U{n % 2}", f"session {n % 2}") for n in range(10)]
    assert [line.text for line in fold(*mixed)] == [
        f"session {n} sent GET_PROCESS_STATS to U{n}: 5 answers" for n in range(2)
    ]


def test_a_clock_that_was_set_back_ends_a_burst() -> None:
    assert len(fold(*(connected(n, 100) for n in range(4)), *(connected(n, 50) for n in range(4, 8)))) == 2


def test_nothing_is_held_back_for_ever() -> None:
    busy = [connected(n, n * QUIET_NS) for n in range(3 * LONG_NS // QUIET_NS)]
    bursts = Bursts()
    held = max(len(bursts._held) for sentence in busy for _ in [bursts.add(sentence)])
    assert held <= LONG_NS // QUIET_NS + 1
    bursts = Bursts()
    assert max(len(bursts._held) for n in range(HELD_MAX + 10) for _ in [bursts.add(connected(n))]) <= HELD_MAX


def test_unfolded_each_sentence_is_a_line() -> None:
    lines = fold(*map(connected, range(9)), folding=False)
    assert [(line.first, line.last) for line in lines] == [(n, n) for n in range(9)]


@given(st.lists(st.tuples(st.sampled_from(["edge", "publisher", "channel", "plain", "bad"]), st.integers(0, QUIET_NS)),
                max_size=60))  # fmt: skip
def test_every_sentence_is_in_exactly_one_line(steps: list[tuple[str, int]]) -> None:
    time = 0
    sentences = []
    for seq, (kind, pause) in enumerate(steps, start=1):
        time += pause * 3 // 2
        if kind == "edge":
            sentences.append(connected(seq, time, who=f"session {seq % 3}"))
        elif kind in ("plain", "bad"):
            sentences.append(plain(seq, kind, "bad" if kind == "bad" else "", time))
        else:
            sentences.append(endpoint(seq, kind, time))
    bursts = Bursts()
    lines = []
    for sentence in sentences:
        ready = bursts.add(sentence)
        assert ready == sorted(ready, key=lambda line: line.first)
        lines += ready
    lines += bursts.flush()
    told = sum(_size(line) for line in lines)
    assert told == len(sentences)
    assert bursts.flush() == []
    by_seq = {sentence.seq: sentence for sentence in sentences}
    for line in lines:
        assert by_seq[line.first].time == line.time
        assert line.first <= line.last


def _size(line: Line) -> int:
    """How many sentences a line says that it stands for."""
    if line.first == line.last:
        return 1
    if " connected " in line.text:
        return int(line.text.split(" connected ")[1].split(" ")[0])
    return sum(int(part.split(" ")[0]) for part in line.text.split(", "))
