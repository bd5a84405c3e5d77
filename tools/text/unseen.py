"""The words for what an observer of a graph server does not see."""

from collections.abc import Sequence

_WORDS = {
    "peers": "where connections come from",
    "endpoints": "publishers, subscribers and channels",
    "requests": "requests to units, and their answers",
    "refusals": "refused commands",
    "pauses": "pause, resume and sync",
    "ends": "how a session or a process ended",
    "between": "what came and went between two looks",
}


def unseen_words(unseen: Sequence[str]) -> list[str]:
    """Say ``unseen``, as ``server.started`` has it, in words; what a newer version added, as it is."""
    return [_WORDS.get(each, each) for each in unseen]
