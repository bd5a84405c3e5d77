"""A tool that reads an event stream: ``python -m benchmarks.programs.tool HOST:PORT ENTRIES``.

It ends when it has had so many.
"""

import socket
import sys

from ezmsg.core.netprotocol import Address, Command, encode_str


def read(address: Address, entries: int) -> None:
    """Take all of the topology feed after its first entry."""
    with socket.create_connection(address) as connection, connection.makefile("rb", 2**20) as stream:

        def blob() -> bytes:
            size = int.from_bytes(stream.read(8), "little")
            data = stream.read(size)
            if not size or len(data) < size:
                raise EOFError("the server closed the stream")
            return data

        blob()
        connection.sendall(Command.SESSION_TOPOLOGY_SUBSCRIBE.value + encode_str("1"))
        blob()
        stream.read(1)
        for _ in range(entries):
            blob()


if __name__ == "__main__":
    read(Address.from_string(sys.argv[1]), int(sys.argv[2]))
