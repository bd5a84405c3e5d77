"""``ezmsg-ledger`` as ever, but on a disk that is full or cannot sync while a file is there.

degradable.py [--queue BYTES] [--full-while FILE] [--syncs-fail-while FILE] -- ARGUMENTS OF ezmsg-ledger

``--queue``: how much may wait. What fails are the system's calls as Python has them, in an otherwise untouched process.
(A limit on the size of its files would do without that, but would hold for the shared memory that it makes as well.)

What the server's state was when it was told to stop is said on standard error: its seq and its digest.
"""

import argparse
import errno
import os
import sys
from pathlib import Path
from typing import Any


def fail_while(flag: Path, code: int, *names: str) -> None:
    """The system's calls of these names fail while ``flag`` is there."""

    def failing(real: Any) -> Any:
        def call(*arguments: Any) -> Any:
            if flag.exists():
                raise OSError(code, os.strerror(code))
            return real(*arguments)

        return call

    for name in set(names) & set(dir(os)):
        setattr(os, name, failing(getattr(os, name)))


def tell_the_state() -> None:
    """Before a run is closed, say what was lived until then."""
    from ezmsg.ledger.runtime.live import LiveGraph

    close = LiveGraph.close

    def telling(live: LiveGraph, *how: Any) -> None:
        print(f"lived {live.state.seq} {live.state.digest()}", file=sys.stderr, flush=True)
        close(live, *how)

    LiveGraph.close = telling  # type: ignore[method-assign]


def main() -> int:
    at = sys.argv.index("--")
    parser = argparse.ArgumentParser()
    parser.add_argument("--queue", type=int)
    parser.add_argument("--full-while", type=Path)
    parser.add_argument("--syncs-fail-while", type=Path)
    options = parser.parse_args(sys.argv[1:at])
    # before our code has looked the calls up
    if options.full_while:
        fail_while(options.full_while, errno.ENOSPC, "pwrite")
    if options.syncs_fail_while:
        fail_while(options.syncs_fail_while, errno.EIO, "fsync", "fdatasync")
    from ezmsg.ledger.runtime import spool
    from ezmsg.ledger.tools import cli

    if options.queue:
        spool.QUEUE_MAX = options.queue
    tell_the_state()
    return cli.main(sys.argv[at + 1 :])


if __name__ == "__main__":
    sys.exit(main())
