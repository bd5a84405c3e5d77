"""The rotation of a ledger that is recorded, by the options --rotate, --keep and --compress."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ezmsg.ledger.projections.questions.moments import times
from ezmsg.ledger.tools.exits import Misuse
from ezmsg.ledger.tools.input import sizes
from ezmsg.ledger.wording import size_text

if TYPE_CHECKING:
    from ezmsg.ledger.runtime.rotation import Rotation

SIZE_MIN = 4000
"""Bytes of a segment below which there would be more beginnings than events."""


def rotation_of(rotate: Sequence[str], keep: str | None, compress: bool) -> "Rotation | None":
    """The rotation that the options ask for; None when the ledger is to be one file. Raises Misuse."""
    from ezmsg.ledger.runtime.rotation import Rotation

    in_bytes, spans = [], []
    for text in rotate:
        bytes_ = sizes.size(text)
        if bytes_ is None:
            if times.span(text.strip()) is None:
                raise Misuse(
                    f"--rotate {text}: that is neither a size nor a span", hint=f"{sizes.SIZES}, {sizes.SPANS}."
                )
            spans.append(sizes.span(text, "--rotate"))
        elif bytes_ < SIZE_MIN:
            raise Misuse(
                f"--rotate {text}: that is less than {size_text(SIZE_MIN)}",
                hint="Every segment begins with the whole state of the graph: 256MB is a good size.",
            )
        else:
            in_bytes.append(bytes_)
    if not rotate and (keep is not None or compress):
        raise Misuse(
            f"{'--keep' if keep is not None else '--compress'} is about sealed segments, and without --rotate none is",
            hint="Add --rotate 256MB, say; or put a closed ledger in order with: ezmsg-ledger rotate LEDGER",
        )
    if not rotate:
        return None
    oldest = None if keep is None else sizes.span(keep, "--keep")
    return Rotation(size=min(in_bytes, default=None), every=min(spans, default=None), keep=oldest, compress=compress)
