"""``status``: how a running recorder is."""

import os
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import click

from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.graph.replay import state_at
from ezmsg.ledger.projections.questions.moments.times import span_text, time_text
from ezmsg.ledger.runtime.address import ADDRESS_ENV
from ezmsg.ledger.runtime.recorder.control_client import NoAnswer, ask
from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.input import options
from ezmsg.ledger.tools.input.address import ADDRESS_DEFAULT, address_or_default
from ezmsg.ledger.tools.input.location import ENDING, locate
from ezmsg.ledger.tools.input.options import argument, flag, option
from ezmsg.ledger.tools.output import Page, Part, listed
from ezmsg.ledger.tools.text.event_words import OBSERVER
from ezmsg.ledger.wording import count, size_text

WATCH_S = 1.0
"""How often ``--watch`` asks."""

WAIT_S = 0.1
"""How often ``--wait`` looks."""

HOUR_NS = 3600 * 10**9

CLEAR = "\x1b[H\x1b[2J"
"""The escape sequence that clears a terminal."""

SHIPPER_SILENT_NS = 30 * 10**9
"""A shipper leaves word each second while there is something to ship."""

BEHIND_MAX = 3
"""Streams that are named with their backlogs."""


AT_ITS_END = {
    True: "if it ends now, the next start will name the seqs that are lost",
    False: "if it ends now, NOBODY WILL KNOW what is lost: its lock file cannot be written either",
}
"""The fate of the events in memory, by whether the lock file tells of them."""


class Row(NamedTuple):
    """A line of the answer: what it is about, what there is to say, and the style of Page that fits it."""

    about: str
    text: str
    tone: str = ""


@argument("address", "[HOST:PORT]", f"Where it listens, or its ledger; ${ADDRESS_ENV}, else {ADDRESS_DEFAULT}.")
@flag("--watch", "-w", help="Ask again every second, until Ctrl-C.")
@option("--wait", metavar="SECONDS", type=click.FloatRange(min=0), help="Wait so long for a recorder to be there.")
@options.json
def status(address: str | None, watch: bool, wait: float | None, json: bool) -> int:
    """Asks the recorder itself: what it records to, how far it is, who is connected, and whether the disk keeps up. The
    exit code is 7 while it cannot write.

    An observer (`attach`) listens nowhere: name its ledger, and what that tells is shown; the exit code is 1 when
    nobody writes it.

    Examples:
      ezmsg-ledger status
      ezmsg-ledger status --watch
      ezmsg-ledger status --wait 10 && python pipeline.py
      ezmsg-ledger status 127.0.0.1:10000 --json
      ezmsg-ledger status lab.ledger
    """
    if address is not None and (os.path.lexists(address) or address.endswith(ENDING)):
        return _of_ledger(locate(Path(address), Page()), watch, json)
    where = address_or_default(address)
    page = Page()
    deadline = time.monotonic() + (wait or 0.0)
    while True:
        try:
            answer = ask(where, "status")
        except NoAnswer:
            if time.monotonic() >= deadline:
                raise
            time.sleep(WAIT_S)
            continue
        if watch and sys.stdout.isatty():
            sys.stdout.write(CLEAR)
        if json:
            page.document(answer)
        else:
            for line in lines(where, answer):
                page.line(*line)
        if not watch:
            return exits.OK if answer["degraded"] is None else exits.UNWRITTEN
        page.flush()
        time.sleep(WATCH_S)


def _of_ledger(path: Path, watch: bool, json: bool) -> int:
    """Show how a recording is, as its ledger tells. Raises what opening it does."""
    page = Page()
    while True:
        with Ledger.open(path, "r") as ledger:
            state, written = state_at(ledger), ledger.being_written
            run = state.run
            document = {
                "ledger": ledger.location,
                "id": ledger.id,
                "written": written,
                "seq": state.seq,
                "time": state.time,
                "bytes": ledger.bytes_on_disk,
                "kind": None if run is None else run[1].kind,
                "name": None if run is None else run[1].name,
                "address": None if run is None else run[1].address,
                "started": None if run is None else run[1].started,
                "sessions": len(state.sessions),
                "processes": len(state.processes),
                "edges": sum(1 for _ in state.ownership.edges()),
                "components": len(state.components),
            }
        if watch and sys.stdout.isatty():
            sys.stdout.write(CLEAR)
        if json:
            page.document(document)
        else:
            for line in _ledger_lines(document):
                page.line(*line)
        if not watch:
            return exits.OK if written else exits.NO
        page.flush()
        time.sleep(WATCH_S)


def _ledger_lines(told: dict[str, Any]) -> list[list[Part]]:
    """The lines of Page that say what a ledger tells of its recording."""
    beside = told["kind"] == OBSERVER
    if told["kind"] is None:
        what = "no run is open in it"
    else:
        where = f" {'beside the graph server at' if beside else 'at'} {told['address']}" if told["address"] else ""
        what = f'{"observer" if beside else told["kind"]} "{told["name"]}"{where}, since {time_text(told["started"])}'
    writes = "somebody writes it" if told["written"] else "nobody writes it"
    rows = [
        Row("run", what),
        Row("ledger", f"{writes}; seq {told['seq']}, last event {time_text(told['time'])}, {size_text(told['bytes'])}"),
        Row("clients", f"{count(told['sessions'], 'session')}, {count(told['processes'], 'process', 'processes')}"),
        Row("graph", f"{count(told['edges'], 'edge')}, {count(told['components'], 'component')}"),
    ]
    if beside:
        rows.append(Row("unseen", "publishers and subscribers, refusals, and where connections come from"))
    width = max(len(row.about) for row in rows)
    out: list[list[Part]] = [[("head", told["ledger"])]]
    for row in rows:
        out.append([f"  {row.about.ljust(width)}  ", row.text])
    return out


def lines(where: str, answer: dict[str, Any]) -> list[list[Part]]:
    """The status as a person reads it, as lines of Page."""
    rows = [*_recording(answer), *_clients(answer), *_trouble(answer)]
    width = max(len(row.about) for row in rows)
    clocks = answer.get("clocks")  # not told by a recorder of an earlier version
    lasts = answer["now"] - answer["started"] if clocks is None else clocks["elapsed"]
    head = f"recording to {answer['ledger']} at {where}, for {span_text(lasts)}"
    out: list[list[Part]] = [[("head", head)]]
    for row in rows:
        out.append([f"  {row.about.ljust(width)}  ", (row.tone, row.text) if row.tone else row.text])
    return out


def _recording(answer: dict[str, Any]) -> list[Row]:
    if answer["bytes"] is not None:
        size = size_text(answer["bytes"])
    else:
        size = "in memory" if answer["ledger"] == "memory" else "its size on the disk cannot be told"
    if answer["bytes_per_hour"] is not None:
        size += f", {size_text(answer['bytes_per_hour'])} more an hour"
    lag = answer["seq"] - answer["durable_seq"]
    if answer["lag"] is None:
        disk = "when the system sees fit"
    elif not lag:
        disk = "all of it on the disk"
    else:
        disk = f"{count(lag, 'event')} not yet on the disk, for {span_text(answer['lag'])}"
    rows = [
        Row("ledger", f"seq {answer['seq']}, {answer['rate']:.1f} events/s, {size}"),
        *_disk(answer.get("disk")),  # not told by a recorder of an earlier version
        Row("durability", f"{answer['durability']}, {disk}"),
    ]
    index = answer.get("index")  # not told by a recorder of an earlier version
    if index is not None:
        keeper = "kept" if index["kept"] else "nobody keeps it"
        rows.append(Row("index", f"up to seq {index['seq']}, {keeper}"))
    return [*rows, *_shipped(answer)]


def _shipped(answer: dict[str, Any]) -> list[Row]:
    """Rows about what became of the ledger elsewhere."""
    shipped = answer.get("shipped")  # not told by a recorder of an earlier version
    if shipped is None:
        return []
    left = answer["seq"] - shipped["seq"]
    text = f"to {shipped['to']}, up to seq {shipped['seq']}, "
    text += f"{count(left, 'event')} left to ship" if left > 0 else "all of it"
    rows = [Row("shipped", text)]
    trouble = shipped["trouble"]
    silent = answer["now"] - shipped["time"]
    if trouble:
        rows.append(Row("", f"{'shipping has stopped' if shipped['stopped'] else 'it waits'}: {trouble}", "warn"))
    elif left > 0 and silent > SHIPPER_SILENT_NS:
        rows.append(Row("", f"nobody ships it: no word of the shipper for {span_text(silent)}", "warn"))
    if harm := shipped.get("harm"):
        rows.append(Row("", f"the stream is not whole any more: {harm}", "warn"))
    return rows


def _disk(disk: dict[str, Any] | None) -> list[Row]:
    """A row about the room on the disk."""
    if disk is None:
        return []
    text = f"{size_text(disk['free'])} free of {size_text(disk['total'])}"
    if disk["hours_left"] is not None:
        text += f", full in {span_text(round(disk['hours_left'] * HOUR_NS))} at the present rate"
    if disk["low"]:
        text += f"; that is less than {size_text(disk['min_free'])}"
    return [Row("disk", text, "warn" if disk["low"] else "")]


def _clients(answer: dict[str, Any]) -> list[Row]:
    kinds = ("session", "process", "publisher", "subscriber", "channel")
    plural = {"process": "processes"}
    clients = [count(answer[plural.get(kind, kind + "s")], kind, plural.get(kind, "")) for kind in kinds]
    streams = [f"{number} of {kind}" for kind, number in answer["streams"].items() if number]
    rows = [
        Row("clients", ", ".join(clients)),
        Row("graph", f"{count(answer['edges'], 'edge')}, {count(answer['components'], 'component')}"),
        Row(
            "sockets",
            f"{count(answer['connections'], 'connection')} of at most {answer['connections_max']}, "
            f"{size_text(answer['pending_bytes'])} pending",
        ),
    ]
    if answer["segments"]:
        rows.append(Row("memory", f"{count(answer['segments'], 'segment')} of {size_text(answer['segment_bytes'])}"))
    if streams:
        rows.append(Row("streams", ", ".join(streams)))
    return rows


def _clocks(answer: dict[str, Any]) -> list[Row]:
    """Rows about what was done to the wall clock in this run."""
    clocks = answer.get("clocks")
    if clocks is None:
        return []
    rows = []
    if clocks["steps"]:
        way = "ahead" if clocks["set_by"] > 0 else "back"
        text = f"the wall clock was set {count(clocks['steps'], 'time')}, {span_text(clocks['set_by'])} {way} in all"
        rows.append(Row("clock", text, "warn"))
    if clocks["suspends"]:
        rows.append(Row("clock", f"the machine was suspended {count(clocks['suspends'], 'time')}", "warn"))
    return rows


def _trouble(answer: dict[str, Any]) -> list[Row]:
    """Rows about everything that is not as it should be, or was not."""
    rows = _clocks(answer)
    if answer["slowest_acks"]:
        slowest = answer["slowest_acks"][0]
        rows.append(
            Row("slowest", f"{slowest['topic']} ({slowest['peer']}) took {span_text(slowest['took'])} for an update")
        )
    refusals = [count(answer["refused"], "refusal")] if answer["refused"] else []
    refusals += [f"{number} {reason}" for reason, number in answer["turned_away"].items()]
    if refusals:
        rows.append(Row("refused", ", ".join(refusals), "warn"))
    if answer["backlogs"]:
        waiting = [f"{each['entries']} of {each['stream']} for {each['peer']}" for each in answer["backlogs"]]
        rows.append(Row("backlog", listed(waiting, BEHIND_MAX), "warn"))
    rows += [Row("stalled", f"the subscriber of {topic}", "warn") for topic in answer["stalled"]]
    degraded, error = answer["degraded"], answer["last_error"]
    if degraded is not None:
        kept = "some are LOST already" if degraded["lost"] else "none is lost so far"
        rows += [
            Row("DEGRADED", f"since {time_text(degraded['since'])}: {degraded['error']}", "bad"),
            Row("", f"{count(degraded['waiting'], 'event')} in memory; {kept}; no durability is promised", "bad"),
            Row("", AT_ITS_END[degraded["noted"]], "bad"),
        ]
    elif error is not None:
        rows.append(Row("last error", f"{time_text(error['time'])}: {error['error']}", "warn"))
    return rows
