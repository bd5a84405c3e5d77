"""The other end of LabStreamingLayer: ``python lsl_peer.py hear NAME`` or ``python lsl_peer.py say NAME TEXT...``.

``hear`` prints each marker of a stream of that name as a JSON line with its ``stamp``, until the stream ends. ``say``
waits for somebody to listen, sends a marker for each text, stamped two seconds ago, and prints the wall times (ns) of
that as a JSON line. Both print ``ready`` at first.
"""

import json
import sys
import time

import pylsl

AGO_NS = 2 * 10**9


def hear(name: str) -> None:
    [found, *_] = pylsl.resolve_byprop("name", name, timeout=60)
    inlet = pylsl.StreamInlet(found, recover=False)
    inlet.open_stream(timeout=30)
    print("ready", flush=True)
    while True:
        try:
            sample, stamp = inlet.pull_sample(timeout=1.0)
        except pylsl.util.LostError:
            return
        if sample is not None:
            print(json.dumps({"stamp": stamp, **json.loads(sample[0])}), flush=True)


def say(name: str, *texts: str) -> None:
    outlet = pylsl.StreamOutlet(pylsl.StreamInfo(name, "Markers", 1, 0, "string", name))
    print("ready", flush=True)
    assert outlet.wait_for_consumers(60)
    said = {}
    for text in texts:
        said[text] = time.time_ns() - AGO_NS
        outlet.push_sample([text], pylsl.local_clock() - AGO_NS / 1e9)
        time.sleep(0.3)
    print(json.dumps(said), flush=True)
    time.sleep(3)  # they are on their way for a while


if __name__ == "__main__":
    {"hear": hear, "say": say}[sys.argv[1]](*sys.argv[2:])
