"""``status``: how a running recorder is."""

import json as json_module
import os
from typing import Annotated, Any

import typer

from ezmsg.ledger.projections.clock import elapsed_text, time_text
from ezmsg.ledger.runtime.asking import ask
from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.amounts import size_text
from ezmsg.ledger.tools.options import ADDRESS_DEFAULT, ADDRESS_ENV


def status(
    address: Annotated[
        str | None,
        typer.Argument(
            metavar="[HOST:PORT]", help=f"Where it listens; ${ADDRESS_ENV}, else {ADDRESS_DEFAULT}.", show_default=False
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="As one JSON document.")] = False,
) -> int:
    """Asks the recorder itself: what it records to, how far it is, who is connected, and whether the disk keeps up. The
    exit code is 1 while it cannot write.

    \\b
    Examples:
      ezmsg-ledger status
      ezmsg-ledger status 127.0.0.1:10000 --json
    """
    where = address or os.environ.get(ADDRESS_ENV) or ADDRESS_DEFAULT
    answer = ask(where, "status")
    if json:
        print(json_module.dumps(answer))
    else:
        for line in lines(where, answer):
            print(line)
    return exits.OK if answer["degraded"] is None else exits.NO


def lines(where: str, answer: dict[str, Any]) -> list[str]:
    """The status as a person reads it."""
    lag = answer["seq"] - answer["durable_seq"]
    disk = "all of it on the disk" if not lag else f"{lag} events not yet on the disk"
    out = [
        f"recording to {answer['ledger']} at {where}, for {elapsed_text(answer['now'] - answer['started'])}",
        f"  seq {answer['seq']}, durability {answer['durability']}, {disk}",
        f"  {answer['sessions']} sessions, {answer['processes']} processes, {answer['publishers']} publishers, "
        f"{answer['subscribers']} subscribers, {answer['channels']} channels, {answer['segments']} memory segments",
        f"  {answer['edges']} edges, {answer['components']} components",
        f"  {size_text(answer['bytes'])} on the disk{_growth(answer['bytes_per_hour'])}",
    ]
    out += [f"  stalled: the subscriber of {topic}" for topic in answer["stalled"]]
    degraded = answer["degraded"]
    if degraded is not None:
        out.append(f"  DEGRADED since {time_text(degraded['since'])}: {degraded['error']}")
        kept = "some are LOST already" if degraded["lost"] else "none is lost so far"
        out.append(f"  {degraded['waiting']} events wait in memory; {kept}; no durability is promised meanwhile")
    return out


def _growth(per_hour: int | None) -> str:
    return "" if per_hour is None else f", {size_text(per_hour)} more an hour"
