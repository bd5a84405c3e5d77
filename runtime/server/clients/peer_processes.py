"""The processes of this machine that hold a connection: a forked child keeps that of its dead parent."""

import os
import re
from pathlib import Path

import msgspec

PROC = Path("/proc")

ESTABLISHED = "01"


class Peer(msgspec.Struct, frozen=True):
    """A process that holds the client's end of a connection, by number and name."""

    pid: int
    name: str


def processes_behind(peer: str) -> list[Peer]:
    """The processes of this machine that hold the connection from ``peer`` (``host:port``), the first one first.

    None where that cannot be told: other machines, other systems than Linux, processes of other users. Cost: a look at
    every open file of every process, some milliseconds; for refusals, not for what is frequent.
    """
    inode = _inode(peer)
    if inode is None:
        return []
    wanted, found = f"socket:[{inode}]", []
    for folder in PROC.iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            if any(_target(entry.path) == wanted for entry in os.scandir(folder / "fd")):
                found.append(Peer(int(folder.name), (folder / "comm").read_text(errors="replace").strip()))
        except OSError:  # it has ended, or is somebody else's
            continue
    return sorted(found, key=lambda each: each.pid)


def _target(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:  # closed meanwhile
        return ""


def _inode(peer: str) -> str | None:
    """The number of the socket whose own address is ``peer``."""
    host, _, port = peer.rpartition(":")
    if not re.fullmatch(r"\d+(\.\d+){3}", host) or not port.isdecimal():
        return None
    address = "".join(f"{int(part):02X}" for part in reversed(host.split("."))) + f":{int(port):04X}"
    try:
        lines = (PROC / "net" / "tcp").read_text().splitlines()[1:]
    except OSError:  # not Linux
        return None
    rows = (line.split() for line in lines)
    return next((row[9] for row in rows if row[1] == address and row[3] == ESTABLISHED), None)
