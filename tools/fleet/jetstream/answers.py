"""Answers of a broker of NATS JetStream, read: messages, times, reasons."""

from base64 import b64decode
from datetime import datetime
from typing import Any

from ezmsg.ledger.tools.fleet.message import Message


def described(headers: Any) -> str:
    """The reason that the headers of a refusal state; "" for none."""
    return str(next((value for key, value in (headers or {}).items() if "escription" in str(key)), ""))


def message_of(message: dict[str, Any]) -> Message:
    """A message as STREAM.MSG.GET has it: in base64, headers and all."""
    lines = b64decode(message.get("hdrs", "")).decode("utf-8", "replace").split("\r\n")[1:]
    headers = dict(line.split(": ", 1) for line in lines if ": " in line)
    return Message(
        int(message["seq"]), headers, b64decode(message.get("data", "")), nanoseconds(message.get("time", ""))
    )


def nanoseconds(text: str) -> int:
    """ns since the epoch, of a time as a broker writes it, such as 2026-11-24T13:03:20.123456789Z; 0 for no time."""
    seconds, _, rest = text.partition("Z")[0].partition(".")
    try:
        whole = int(datetime.fromisoformat(f"{seconds}+00:00").timestamp())
    except ValueError:
        return 0
    return whole * 10**9 + int(rest[:9].ljust(9, "0") if rest.isdigit() else 0)
