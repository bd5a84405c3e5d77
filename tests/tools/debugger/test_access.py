"""Nobody gets in without the token, by another name, from elsewhere, or with anything but GET."""

import ipaddress
import re
import socket
from collections.abc import Callable
from typing import Any

import pytest

Debug = Callable[..., Any]


@pytest.fixture
def asked(debug: Debug, night: Any) -> Any:
    return debug(night.path)


def test_the_address_has_a_token_of_its_own(debug: Debug, night: Any) -> None:
    tokens = {debug(night.path).server.token for _ in range(3)}
    assert len(tokens) == 3
    assert all(re.fullmatch(r"[\w-]{24}", token) for token in tokens)


@pytest.mark.parametrize("path", ["/", "/api/v1/ledger", "/page.js", "/nothing", "/wrong/", "/wrong/api/v1/ledger"])
def test_nothing_is_told_without_the_token(asked: Any, path: str) -> None:
    answer = asked.fetch(asked.origin + path)
    assert answer.status == 403
    assert answer.body["kind"] == "NotLetIn"


def test_the_token_may_stand_in_the_path_in_the_query_or_in_a_header(asked: Any) -> None:
    token = asked.server.token
    for path, headers in (
        (f"/{token}/api/v1/ledger", {}),
        (f"/api/v1/ledger?token={token}", {}),
        ("/api/v1/ledger", {"Authorization": f"Bearer {token}"}),
    ):
        assert asked.fetch(asked.origin + path, headers).status == 200
    assert asked.fetch(asked.origin + "/api/v1/ledger", {"Authorization": f"Basic {token}"}).status == 403


def test_a_page_of_another_site_whose_name_leads_here_gets_nothing(asked: Any) -> None:
    for host in ("evil.example", f"evil.example:{asked.server.port}", "127.0.0.1.evil.example", "", "10.0.0.1"):
        answer = asked.get("ledger", {"Host": host})
        assert (answer.status, answer.body["kind"]) == (421, "NotLetIn"), host
    for host in ("localhost", f"127.0.0.1:{asked.server.port}", "[::1]:99", "LOCALHOST:1"):
        assert asked.get("ledger", {"Host": host}).status == 200, host


def test_every_answer_is_guarded(asked: Any) -> None:
    page, outside = asked.fetch(asked.server.address), asked.fetch(asked.origin)
    for answer in (asked.get("ledger"), asked.get("nothing"), outside, page):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_can_be_changed(asked: Any, method: str) -> None:
    assert asked.get("ledger", method=method).status == 405


def test_it_listens_on_loopback_alone(asked: Any) -> None:
    assert asked.server._socket.getsockname()[0] == "127.0.0.1"
    with socket.socket() as other, pytest.raises(OSError):
        other.connect(("127.0.0.2", asked.server.port))


def test_a_network_that_is_let_in_may_use_its_own_address(debug: Debug, night: Any) -> None:
    network = ipaddress.IPv4Network("127.0.0.0/8")
    asked = debug(night.path, host="0.0.0.0", networks=[network])
    token = asked.server.token
    assert asked.fetch(f"http://127.0.0.2:{asked.server.port}/{token}/api/v1/ledger").status == 200
    assert asked.fetch(f"{asked.origin}/{token}/api/v1/ledger", {"Host": "evil.example"}).status == 421


def test_the_page_is_served_whole(asked: Any) -> None:
    page = asked.fetch(asked.server.address)
    assert page.headers["content-type"].startswith("text/html")
    for name in re.findall(r'(?:src|href)="([\w.]+)"', page.octets.decode()):
        assert asked.fetch(asked.server.address + name).status == 200
    assert asked.fetch(f"{asked.origin}/{asked.server.token}?at=3").octets == page.octets
