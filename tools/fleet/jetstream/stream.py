"""The stream that ledgers are shipped to: what it must be like so that nothing in it is ever removed."""

import json
from collections.abc import Callable
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from ezmsg.ledger.runtime.address import why_not
from ezmsg.ledger.tools.fleet.errors import NoStream, Refused, Unreachable
from ezmsg.ledger.tools.fleet.jetstream.nats_broker import NatsBroker
from ezmsg.ledger.tools.fleet.jetstream.place import Place

CONSUMERS_MAX = 256
"""Consumers that others may have on the stream. We have none; without a number the server allows 1,000, and says so
nowhere."""

REPLICAS_MAX = 5
"""More replicas JetStream does not have."""

MONITOR_S = 3.0

_NONE: tuple[Any, ...] = (None, False, 0, -1, "", [], {})


def _is(*allowed: Any) -> Callable[[Any, dict[str, Any]], bool]:
    return lambda value, config: value in allowed


def _is_unset(value: Any, config: dict[str, Any]) -> bool:
    return value in _NONE


def _is_unset_or_refuses(value: Any, config: dict[str, Any]) -> bool:
    return value in _NONE or config.get("discard") == "new"


RULES: dict[str, tuple[Callable[[Any, dict[str, Any]], bool], str]] = {
    "storage": (_is("file"), "it forgets all when the server ends"),
    "retention": (_is("limits"), "it removes what was read"),
    "max_age": (_is_unset, "it removes what is old"),
    "max_msgs": (_is_unset_or_refuses, "it removes the first messages when there are more"),
    "max_bytes": (_is_unset_or_refuses, "it removes the first messages when there are more bytes"),
    "max_msgs_per_subject": (_is_unset, "it removes the first messages of a ledger"),
    "max_msg_size": (_is_unset, "it refuses messages that the server takes"),
    "deny_delete": (_is(True), "messages can be deleted"),
    "deny_purge": (_is(True), "it can be emptied"),
    "allow_direct": (_is(True), "it cannot be read without a consumer"),
    "allow_rollup_hdrs": (_is_unset, "one message can remove those before it"),
    "allow_msg_ttl": (_is_unset, "a message can have an end"),
    "allow_msg_counter": (_is_unset, "it takes counters and nothing else"),
    "allow_msg_schedules": (_is_unset, "messages can be put off"),
    "persist_mode": (_is(None, "", "default"), "it acknowledges what is not on a disk"),
    "no_ack": (_is_unset, "it acknowledges nothing"),
    "sealed": (_is_unset, "it takes no more messages"),
    "mirror": (_is_unset, "it is a copy of another stream"),
    "sources": (_is_unset, "others add to it"),
    "subject_transform": (_is_unset, "it changes subjects"),
}
"""The settings that matter, by name: what each must be, and what is so otherwise."""

HARMLESS = frozenset(
    [
        *("name", "description", "subjects", "num_replicas", "duplicate_window", "discard", "discard_new_per_subject"),
        *("compression", "placement", "mirror_direct", "consumer_limits", "max_consumers", "metadata", "first_seq"),
        *("republish", "template_owner", "allow_atomic", "allow_batched"),
    ]
)
"""Settings that cost no message, whatever they are."""


def subjects_of(place: Place) -> list[str]:
    """The subjects of a stream: of ledgers, and of their receipts."""
    return [place.subject("*"), place.receipts("*")]


def wanted(place: Place, replicas: int) -> dict[str, Any]:
    """The configuration that a stream is made with."""
    return {
        "name": place.stream,
        "description": "ledgers of ezmsg: bytes of their files, one message after the other",
        "subjects": subjects_of(place),
        "storage": "file",
        "retention": "limits",
        "discard": "new",
        "num_replicas": replicas,
        "max_consumers": CONSUMERS_MAX,
        "deny_delete": True,
        "deny_purge": True,
        "allow_direct": True,
    }


def faults(config: dict[str, Any], place: Place) -> list[str]:
    """The settings of a stream that lose messages, or keep us from adding or reading them, each in words."""
    found = [
        f"{key} is {json.dumps(config.get(key))}: {otherwise}"
        for key, (right, otherwise) in RULES.items()
        if not right(config.get(key), config)
    ]
    if missing := [subject for subject in subjects_of(place) if subject not in config.get("subjects", [])]:
        found.append(f"subjects are {json.dumps(config.get('subjects'))}: {', '.join(missing)} must be among them")
    return found


def unknown(config: dict[str, Any]) -> list[str]:
    """Settings that are set and of which this version does not know what they do."""
    return sorted(
        key for key, value in config.items() if key not in RULES and key not in HARMLESS and value not in _NONE
    )


def ready(broker: NatsBroker, replicas: int | None, say: Callable[[str], object]) -> None:
    """Make the stream when it is missing, and check all of its configuration when it is there.

    ``replicas``: as asked for; None: 1 for a new stream, and whatever an old one has. Raises NoStream, Unreachable.
    """
    place = broker.place
    try:
        info = broker.info()
    except Unreachable as error:
        raise Unreachable(str(error), hint=f"{error.hint} {_KEPT_HINT}") from error
    if info is None:
        try:
            broker.make(wanted(place, replicas or 1))
        except Refused as error:
            hint = _OVERLAP_HINT if error.code == OVERLAPS else _MAKE_HINT
            raise NoStream(f"stream {place.stream} cannot be made: {error}", hint=hint) from error
        say(f"made stream {place.stream} at {place.shown}, {replicas or 1} replica{'s' if (replicas or 1) > 1 else ''}")
        info = broker.info()
    check(info, place)
    config = (info or {}).get("config", {})
    if more := unknown(config):
        say(f"stream {place.stream} has settings of which this version knows nothing: {', '.join(more)}")
    if replicas is not None and config.get("num_replicas") != replicas:
        say(f"stream {place.stream} has {config.get('num_replicas')} replicas, not {replicas}: nothing was changed")


def check(info: dict[str, Any] | None, place: Place) -> None:
    """Raise NoStream when the stream is gone, or is no longer one that keeps all that it is given."""
    if info is None:
        raise NoStream(f"{place.shown}: there is no stream {place.stream} any more", hint=_MAKE_HINT)
    if wrong := faults(info["config"], place):
        raise NoStream(
            f"stream {place.stream} does not keep what it is given: {'; '.join(wrong)}",
            hint=f"Change it back, `nats stream edit {place.stream}`, or ship to another one: --stream NAME.",
        )


def synced_always(monitor: str) -> bool | None:
    """Whether a server syncs each message before it acknowledges it, by what its monitoring port says.

    ``monitor`` is a URL such as http://127.0.0.1:8222. None where it has no JetStream. Raises Unreachable.
    """
    try:
        with urlopen(f"{monitor.rstrip('/')}/jsz", timeout=MONITOR_S) as answer:
            config = json.load(answer).get("config")
    except (URLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        why = why_not(reason) if isinstance(reason, Exception) else reason
        raise Unreachable(f"{monitor}/jsz does not answer: {why}", hint="Name the server's monitoring port.") from error
    return None if not config else bool(config.get("sync_always"))


OVERLAPS = 10065
_KEPT_HINT = "Nothing is lost: the ledger is on the disk, and what is missing is shipped when the broker answers again."
_OVERLAP_HINT = "Another stream has these subjects: name that one with --stream, or choose another name."
_MAKE_HINT = "docs/FLEET.md shows how to make it by hand, and which rights are needed."
