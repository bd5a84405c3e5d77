"""A recorder whose wall clock is set while it records: ``python stepped_server.py LEDGER ADDRESS SECONDS BY``.

After SECONDS its clock, and no other one, is set by BY seconds. It ends at SIGTERM.
"""

import signal
import sys
import threading

from ezmsg.ledger import Ledger
from ezmsg.ledger.clock import Clock
from ezmsg.ledger.runtime import GraphServer


class SteppedClock(Clock):
    """The clocks of this machine, the wall clock of which is set once."""

    by = 0

    def real(self) -> int:
        return super().real() + self.by


def main() -> None:
    path, address, seconds, by = sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4])
    clock = SteppedClock()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # also in the threads of the server

    def step() -> None:
        clock.by = round(by * 1e9)

    with Ledger.open(path, clock=clock) as ledger:
        server = GraphServer(ledger)
        server.start_at(address)
        print("listening on {}:{}".format(*server.address), flush=True)
        timer = threading.Timer(seconds, step)
        timer.start()
        signal.sigwait({signal.SIGTERM})
        timer.cancel()
        server.stop()


if __name__ == "__main__":
    main()
