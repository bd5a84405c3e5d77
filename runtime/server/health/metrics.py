"""Metrics of a server for Prometheus: over HTTP, on this machine, by the extra ``metrics``."""

import threading
from collections.abc import Callable, Iterator
from math import inf
from typing import Any, NamedTuple
from wsgiref.simple_server import WSGIRequestHandler, make_server

from ezmsg.ledger.errors import LedgerError
from ezmsg.ledger.extras import needed
from ezmsg.ledger.runtime.address import cannot_listen
from ezmsg.ledger.runtime.server.payloads import NS_PER_S

HOST = "127.0.0.1"
"""Other machines need a proxy in front of it, which asks who they are."""

POLL_S = 0.05
"""Time between two looks of the HTTP server whether it is to stop."""

PREFIX = "ezmsg_ledger_"


class NoMetrics(LedgerError):
    """The library for metrics is not installed, or their port is not free."""


class Gauge(NamedTuple):
    """A number that goes up and down: its name, what it means, and what it is now."""

    name: str
    help: str
    value: Callable[[dict[str, Any]], float | None]


GAUGES = (
    Gauge("seq", "Seq of the last event that was decided.", lambda now: now["seq"]),
    Gauge("durable_seq", "Seq of the last event that is known to be on the disk.", lambda now: now["durable_seq"]),
    Gauge("event_rate", "Events per second over the last ten seconds.", lambda now: now["rate"]),
    Gauge(
        "durability_lag_seconds",
        "For how long the oldest event that is not known to be on the disk has waited for it.",
        lambda now: None if now["lag"] is None else now["lag"] / NS_PER_S,
    ),
    Gauge("ledger_bytes", "Size of the ledger.", lambda now: now["bytes"]),
    Gauge("disk_free_bytes", "Free bytes of the ledger's disk.", lambda now: now["disk"] and now["disk"]["free"]),
    Gauge(
        "disk_min_free_bytes",
        "The free bytes of the ledger's disk below which it is low.",
        lambda now: now["disk"] and now["disk"]["min_free"],
    ),
    Gauge(
        "disk_low",
        "1 while fewer bytes are free than that, else 0.",
        lambda now: now["disk"] and float(now["disk"]["low"]),
    ),
    Gauge(
        "disk_full_in_seconds",
        "In how long the ledger's disk is full at the present rate; +Inf where it is not, or that is not known yet.",
        lambda now: now["disk"] and (inf if now["disk"]["hours_left"] is None else now["disk"]["hours_left"] * 3600),
    ),
    Gauge("start_time_seconds", "When the run began, since the epoch.", lambda now: now["started"] / NS_PER_S),
    Gauge("degraded", "1 while nothing can be written, else 0.", lambda now: float(now["degraded"] is not None)),
    Gauge(
        "waiting_events",
        "Events that wait in memory because nothing can be written.",
        lambda now: 0 if now["degraded"] is None else now["degraded"]["waiting"],
    ),
    Gauge("edges", "Edges of the graph.", lambda now: now["edges"]),
    Gauge("components", "Registered components.", lambda now: now["components"]),
    Gauge("connections", "Connections, of whatever kind.", lambda now: now["connections"]),
    Gauge("connections_max", "Connections for which there is room.", lambda now: now["connections_max"]),
    Gauge("pending_bytes", "Bytes in memory that are not read, or not taken.", lambda now: now["pending_bytes"]),
    Gauge("segments", "Shared-memory segments.", lambda now: now["segments"]),
    Gauge("segment_bytes", "What the shared-memory segments may hold.", lambda now: now["segment_bytes"]),
    Gauge("stalled_subscribers", "Subscribers that did not apply an update in time.", lambda now: len(now["stalled"])),
    Gauge(
        "slowest_ack_seconds",
        "The longest that a subscriber which is connected took to apply a routing update.",
        lambda now: max((ack["took"] for ack in now["slowest_acks"]), default=0) / NS_PER_S,
    ),
)

CLIENTS = ("sessions", "processes", "publishers", "subscribers", "channels")


class Metrics:
    """An HTTP server in a thread of its own, which asks the graph server only when it is asked itself.

    ``port`` 0 takes a free one. Raises NoMetrics.
    """

    def __init__(self, port: int) -> None:
        self._library = needed("prometheus_client", "ezmsg-ledger[metrics]", "--metrics", NoMetrics)
        self._port = port
        self._server: Any = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The URL of the metrics. AssertionError before ``start``."""
        assert self._server is not None, "the metrics have not been started"
        return f"http://{HOST}:{self._server.server_port}/metrics"

    def start(self, vitals: Callable[[], dict[str, Any]]) -> None:
        """Answer until ``stop``. Raises NoMetrics when the port cannot be had."""
        registry = self._library.CollectorRegistry(auto_describe=False)
        registry.register(_Collector(vitals))
        try:
            self._server = make_server(
                HOST,
                self._port,
                self._library.make_wsgi_app(registry),
                self._library.exposition.ThreadingWSGIServer,
                _Silent,
            )
        except OSError as error:
            raise NoMetrics(
                f"metrics: {cannot_listen(HOST, self._port, error)}", hint="Choose another port; 0 takes a free one."
            ) from error
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(POLL_S,), name="metrics", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Answer no more. Idempotent."""
        server, thread = self._server, self._thread
        self._thread = None
        if thread is not None:
            server.shutdown()
            server.server_close()
            thread.join()


class _Silent(WSGIRequestHandler):
    """Every request would be a line of the log otherwise."""

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


class _Collector:
    """The collector that the registry asks for names, help texts and values."""

    def __init__(self, vitals: Callable[[], dict[str, Any]]) -> None:
        self._vitals = vitals

    def collect(self) -> Iterator[Any]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        now = self._vitals()
        for gauge in GAUGES:
            value = gauge.value(now)
            if value is not None:
                yield GaugeMetricFamily(PREFIX + gauge.name, gauge.help, value=value)
        clients = GaugeMetricFamily(PREFIX + "clients", "Clients, by kind.", labels=["kind"])
        for kind in CLIENTS:
            clients.add_metric([kind], now[kind])
        yield clients
        streams = GaugeMetricFamily(PREFIX + "streams", "Event streams that clients read.", labels=["stream"])
        for kind, number in now["streams"].items():
            streams.add_metric([kind], number)
        yield streams
        backlog = GaugeMetricFamily(
            PREFIX + "stream_backlog_entries", "The longest backlog of a stream's readers.", labels=["stream"]
        )
        for kind in ("topology", "settings"):
            entries = [each["entries"] for each in now["backlogs"] if each["stream"] == kind]
            backlog.add_metric([kind], max(entries, default=0))
        yield backlog
        yield CounterMetricFamily(PREFIX + "refused_commands", "Commands that were refused.", value=now["refused"])
        away = CounterMetricFamily(
            PREFIX + "turned_away_connections", "Connections that were not let in, by reason.", labels=["reason"]
        )
        for reason, number in now["turned_away"].items():
            away.add_metric([reason], number)
        yield away
