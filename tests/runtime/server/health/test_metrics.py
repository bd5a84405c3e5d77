"""What Prometheus is told: asked over HTTP, read by Prometheus' own parser."""

import socket
import sys
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from ezmsg.ledger.extras import install_command
from ezmsg.ledger.runtime.server.health.metrics import CLIENTS, GAUGES, PREFIX, NoMetrics
from ezmsg.ledger.runtime.server.server import GraphServer
from tests.runtime.server.conftest import Serve
from tests.runtime.server.raw import RawPublisher, RawSession, RawSubscriber, metadata


def told(server: GraphServer) -> dict[str, Any]:
    """The families of what is told, by name."""
    assert server.metrics is not None
    with urlopen(server.metrics.url, timeout=5.0) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
        return {family.name: family for family in parse(answer.read().decode("utf-8"))}


def value(families: dict[str, Any], name: str, **labels: str) -> float:
    [found] = [sample.value for sample in families[PREFIX + name].samples if sample.labels == labels]
    return float(found)


def test_what_is_told_is_what_is_there(serve: Serve) -> None:
    server = serve(metrics_port=0)
    session = RawSession(server.address)
    session.connect("A", "B")
    session.register(metadata("SYS/U", "SYS/V"))
    RawPublisher(server.address, "A")
    for topic in "BXY":
        RawSubscriber(server.address, topic)
    session.connect("B", "A")
    families = told(server)
    assert server.live is not None
    assert value(families, "seq") == server.live.state.seq
    assert value(families, "edges") == 1
    assert value(families, "components") == 2
    assert value(families, "clients", kind="sessions") == 1
    assert value(families, "clients", kind="subscribers") == 3
    assert value(families, "connections") == 5
    assert value(families, "degraded") == 0
    assert value(families, "streams", stream="topology") == 0
    assert value(families, "stream_backlog_entries", stream="settings") == 0
    assert value(families, "start_time_seconds") > 1.7e9
    assert families[PREFIX + "turned_away_connections"].samples == []
    assert families[PREFIX + "refused_commands"].type == "counter"


def test_each_has_a_type_a_help_text_and_is_there(serve: Serve) -> None:
    server = serve(metrics_port=0)
    families = told(server)
    assert set(families) == {
        *(PREFIX + gauge.name for gauge in GAUGES),
        *(PREFIX + name for name in ("clients", "streams", "stream_backlog_entries")),
        *(PREFIX + name for name in ("refused_commands", "turned_away_connections")),
    }
    for family in families.values():
        assert family.type in ("gauge", "counter")
        assert family.documentation.endswith(".")
    assert {sample.labels["kind"] for sample in families[PREFIX + "clients"].samples} == set(CLIENTS)


def test_the_newer_format_is_spoken_to_whoever_asks_for_it(serve: Serve) -> None:
    server = serve(metrics_port=0)
    assert server.metrics is not None
    request = Request(server.metrics.url, headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    with urlopen(request, timeout=5.0) as answer:
        assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
        assert len(list(parse_openmetrics(answer.read().decode("utf-8")))) == len(GAUGES) + 5


def test_nobody_else_hears_it_and_it_ends_with_the_server(serve: Serve) -> None:
    server = serve(metrics_port=0)
    assert server.metrics is not None
    url = server.metrics.url
    assert url.startswith("http://127.0.0.1:")
    server.stop()
    with pytest.raises(OSError, match="refused"):
        urlopen(url, timeout=5.0)


def test_a_port_that_is_taken(serve: Serve) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(NoMetrics, match=f"metrics: cannot listen on 127.0.0.1:{port}: another program has it"):
            serve(metrics_port=port)


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("prometheus_client")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(NoMetrics) as refused:
        GraphServer(metrics_port=0)
    assert install_command('ezmsg-ledger[metrics]') in refused.value.hint


def test_a_server_that_is_stopping_gives_no_numbers(serve: Serve, capfd: pytest.CaptureFixture[str]) -> None:
    server = serve(metrics_port=0)
    assert server.metrics is not None
    server._stopping.set()
    with pytest.raises(HTTPError):
        urlopen(server.metrics.url, timeout=5.0)
