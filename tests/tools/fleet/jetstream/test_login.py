"""Logging in to a real server: TLS, passwords, keys, contexts; what is wrong is one message, and no secret is shown."""

import json
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import nkeys
import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger.errors import LedgerError
from ezmsg.ledger.runtime.recorder.followers import Followers
from ezmsg.ledger.stores.addresses import without_secret
from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.cli import main
from ezmsg.ledger.tools.fleet.jetstream.login import login
from ezmsg.ledger.tools.fleet.jetstream.nats_broker import NatsBroker
from ezmsg.ledger.tools.fleet.jetstream.place import parse
from ezmsg.ledger.tools.fleet.shipping.process import shipper
from tests.brokers import Node, running
from tests.tools.fleet.jetstream.authority import Authority, Pair
from tests.tools.fleet.jetstream.operator import Operator

Made = Callable[..., Path]
PASSWORD = "se/cret@:1"
LAB = f"lab:{quote(PASSWORD, safe='')}"


class Rig:
    """A server with TLS, a user and an nkey; an authority that signed its certificate, and another one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority, self.other = Authority(folder), Authority(folder, "other authority")
        self.server, self.client = self.authority.pair("server"), self.authority.pair("client")
        seed = nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER)
        self.seed = folder / "lab.nk"
        self.seed.write_bytes(seed)
        public = nkeys.from_seed(bytearray(seed)).public_key.decode()
        users = f'users: [ {{ user: lab, password: "{PASSWORD}" }}, {{ nkey: {public} }} ]'
        accounts = f"accounts {{ A {{ jetstream: enabled\n {users} }} }}"
        self.node = Node(folder, more=f"{tls(self.server, self.authority)}\n{accounts}")

    @property
    def host(self) -> str:
        return self.node.url.removeprefix("nats://")

    @property
    def ca(self) -> str:
        return str(self.authority.certificate)


def tls(server: Pair, authority: Authority, verify: str = "false") -> str:
    files = f'cert_file: "{server.certificate}"\n key_file: "{server.key}"\n ca_file: "{authority.certificate}"'
    return f"tls {{ {files}\n verify: {verify} }}"


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    made = Rig(tmp_path_factory.mktemp("rig"))
    for _ in running(made.node):
        yield made


@pytest.fixture(autouse=True)
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes a context of these fields, and names it."""
    monkeypatch.delenv("NATS_CONTEXT", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))

    def make(**fields: Any) -> None:
        folder = tmp_path / "config" / "nats" / "context"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "lab.json").write_text(json.dumps(fields))
        monkeypatch.setenv("NATS_CONTEXT", "lab")

    return make


@pytest.fixture
def told(recorded: Made, stream: str, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Ships to an address and, when that should work, reads and fetches from there; all that was said."""
    path = recorded()

    def go(address: str, code: int = exits.OK) -> str:
        capsys.readouterr()
        assert main(["ship", str(path), address, "--stream", stream, "--name", "rig-3"]) == code
        if code == exits.OK:
            there, copy = f"{address}/{stream}/rig-3", path.with_name("copy.ledger")
            assert main(["verify", there]) == exits.OK
            assert main(["log", there]) == exits.OK
            assert main(["fleet", "list", f"{address}/{stream}", "--json"]) == exits.OK
            assert main(["fetch", there, str(copy)]) == exits.OK
            assert copy.read_bytes() == path.read_bytes()
        said = "".join(capsys.readouterr())
        for secret in (PASSWORD, quote(PASSWORD, safe=""), "se/cret", "wrong-one"):
            assert secret not in said
        for left in path.parent.glob("*.shipped"):
            assert "cret" not in left.read_text()
        if code != exits.OK:
            assert said.count("ezmsg-ledger: ") == 1, said
            assert "Traceback" not in said
        assert "eof_received" not in said
        return said

    return go


Told = Callable[..., str]
Context = Callable[..., None]


@pytest.mark.parametrize("scheme", ["nats", "tls"])
def test_a_password_in_the_address_and_an_authority_in_the_context(
    rig: Rig, told: Told, context: Context, scheme: str
) -> None:
    context(ca=rig.ca)
    told(f"{scheme}://{LAB}@{rig.host}")


def test_all_of_it_in_the_context(rig: Rig, told: Told, context: Context) -> None:
    context(ca=rig.ca, user="lab", password=PASSWORD)
    told(f"nats://{rig.host}")


def test_who_is_in_the_address_goes_before_the_context(rig: Rig, told: Told, context: Context) -> None:
    context(ca=rig.ca, user="lab", password="wrong-one")
    told(f"tls://{LAB}@{rig.host}")
    assert "does not let us in" in told(f"tls://{rig.host}", exits.USAGE)


def test_an_nkey(rig: Rig, told: Told, context: Context) -> None:
    context(ca=rig.ca, nkey=str(rig.seed))
    told(f"tls://{rig.host}")


def test_credentials_that_an_operator_vouches_for(told: Told, context: Context, tmp_path: Path) -> None:
    operator = Operator()
    for node in running(Node(tmp_path, name="operator", more=operator.config)):
        context(creds=str(operator.credentials(tmp_path / "rig-3.creds")))
        told(node.url)
        context(creds=str(operator.credentials(tmp_path / "other.creds", issuer=Operator())))
        assert "does not let us in" in told(node.url, exits.USAGE)
        broken = tmp_path / "broken.creds"
        whole = operator.credentials(broken).read_text()
        for text, says in (
            ("not a word of a token", "holds no token and seed"),
            (whole[: len(whole) // 2], "holds no token and seed"),
            (re.sub("\n(SU.{9})..", r"\n\1AA", whole), "holds no seed of an nkey"),
        ):
            broken.write_text(text)
            context(creds=str(broken))
            assert f"broken.creds, the creds of {tmp_path}/config/nats/context/lab.json, {says}" in told(
                node.url, exits.USAGE
            )


def test_a_server_that_encrypts_before_it_says_a_word(rig: Rig, told: Told, context: Context, tmp_path: Path) -> None:
    more = tls(rig.server, rig.authority).replace("verify:", "handshake_first: true\n verify:")
    for node in running(Node(tmp_path, name="first", more=more)):
        context(ca=rig.ca, tls_first=True)
        told(node.url.replace("nats", "tls"))


def test_a_domain_of_jetstream(told: Told, context: Context, tmp_path: Path) -> None:
    for node in running(Node(tmp_path, name="hub", jetstream="sync_interval: always\n domain: hub")):
        context(jetstream_domain="hub")
        told(node.url)
        context(jetstream_api_prefix="$JS.hub.API")
        told(node.url)
        context(jetstream_domain="moon")
        assert "nobody answers for stream" in told(node.url, exits.DISK)


def test_a_token(rig: Rig, told: Told, context: Context, tmp_path: Path) -> None:
    for node in running(Node(tmp_path, name="token", more='authorization { token: "se/cret" }')):
        told(f"nats://{quote('se/cret', safe='')}@{node.url.removeprefix('nats://')}")
        context(token="se/cret")
        told(node.url)


def test_a_certificate_of_ours(rig: Rig, told: Told, context: Context, tmp_path: Path) -> None:
    node = Node(tmp_path, name="verify", more=tls(rig.server, rig.authority, "true"))
    for _ in running(node):
        address = node.url.replace("nats", "tls")
        context(ca=rig.ca)
        assert "certificate" in told(address, exits.DISK)
        context(ca=rig.ca, cert=str(rig.client.certificate), key=str(rig.client.key))
        told(address)


@pytest.mark.parametrize(
    ("fields", "code", "says"),
    [
        ({}, exits.USAGE, "cannot be trusted: unable to get local issuer"),
        ({"ca": "OTHER"}, exits.USAGE, "cannot be trusted: unable to get local issuer"),
        ({"ca": "CA", "user": "lab", "password": "wrong-one"}, exits.USAGE, "does not let us in"),
        ({"ca": "CA", "nkey": "SEED", "creds": "/nowhere/x.creds"}, exits.USAGE, "/nowhere/x.creds, the creds of"),
        ({"ca": "CA", "nkey": "/nowhere/x.nk"}, exits.USAGE, "/nowhere/x.nk, the nkey of"),
        ({"ca": "CA", "nkey": "CA"}, exits.USAGE, "holds no seed of an nkey"),
        ({"ca": "/nowhere/ca.pem"}, exits.USAGE, "/nowhere/ca.pem, the ca of"),
        ({"ca": "SEED"}, exits.USAGE, "the ca of"),
        ({"ca": "CA", "cert": "SEED", "key": "SEED"}, exits.USAGE, "the cert or key of"),
        ({"ca": ["CA"]}, exits.USAGE, "ca is not a text"),
    ],
    ids=str,
)
def test_what_is_wrong_with_a_context_is_one_message(
    rig: Rig, told: Told, context: Context, fields: dict[str, Any], code: int, says: str
) -> None:
    places = {"CA": rig.ca, "OTHER": str(rig.other.certificate), "SEED": str(rig.seed)}
    context(**{key: places.get(value, value) if isinstance(value, str) else value for key, value in fields.items()})
    assert says in told(f"tls://{rig.host}", code)


@pytest.mark.parametrize("text", ["[1]", "not JSON", ""])
def test_a_context_that_is_none(rig: Rig, told: Told, context: Context, tmp_path: Path, text: str) -> None:
    context()
    (tmp_path / "config" / "nats" / "context" / "lab.json").write_text(text)
    assert "the context that $NATS_CONTEXT names" in told(f"tls://{rig.host}", exits.USAGE)


def test_a_certificate_of_another_host(rig: Rig, told: Told, context: Context) -> None:
    context(ca=rig.ca)
    assert "not valid for 'localhost'" in told(f"tls://{LAB}@localhost:{rig.node.port}", exits.USAGE)


def test_a_context_with_a_domain_asks_there(rig: Rig, context: Context) -> None:
    context(ca=rig.ca, jetstream_domain="hub", inbox_prefix="_INBOX_lab")
    found = login(parse(f"tls://{LAB}@{rig.host}"))
    assert found.api == "$JS.hub.API"
    assert found.options["inbox_prefix"] == "_INBOX_lab"
    assert "cret" not in repr(found)


def test_inboxes_of_ones_own(told: Told, context: Context, tmp_path: Path) -> None:
    permissions = 'permissions: { publish: ">", subscribe: "_INBOX_lab.>" }'
    users = (
        f'accounts {{ A {{ jetstream: enabled\n users: [ {{ user: lab, password: "wrong-one", {permissions} }} ] }} }}'
    )
    for node in running(Node(tmp_path, name="inboxes", more=users)):
        context(user="lab", password="wrong-one", inbox_prefix="_INBOX_lab")
        told(node.url)


# --- nothing is sent in the clear ---


def test_a_server_that_does_not_encrypt_gets_no_password(told: Told) -> None:
    """It says so itself; whatever came from us after that could be read on the way."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    connection.settimeout(20)
                    connection.sendall(b'INFO {"server_id":"x","version":"2.15.1","max_payload":1048576}\r\n')
                    while data := connection.recv(4096):
                        heard.append(data)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        port = listening.getsockname()[1]
        assert "does not encrypt" in told(f"tls://{LAB}@127.0.0.1:{port}", exits.USAGE)
        listening.shutdown(socket.SHUT_RDWR)
    thread.join(20)
    assert heard == []


def test_an_authority_in_the_context_means_that_it_is_to_encrypt(
    rig: Rig, told: Told, context: Context, tmp_path: Path
) -> None:
    for node in running(Node(tmp_path, name="plain")):
        context(ca=rig.ca, user="lab", password="wrong-one")
        assert "does not encrypt" in told(node.url, exits.USAGE)


# --- what others see ---


def test_a_shipper_beside_a_recording_has_no_password_among_its_arguments(
    rig: Rig, recorded: Made, stream: str, context: Context
) -> None:
    context(ca=rig.ca)
    follower = shipper(f"tls://{LAB}@{rig.host}/{stream}")
    assert not any("cret" in each for each in follower.arguments)
    path = recorded()
    with Followers([follower]) as followers:
        followers.start(str(path))
        with Ledger.open(path, "r") as ledger, NatsBroker(parse(f"tls://{LAB}@{rig.host}/{stream}")) as broker:
            deadline = time.monotonic() + 60
            while not (found := shipped(broker)):
                assert time.monotonic() < deadline, "nothing was shipped"
                time.sleep(0.02)
            assert found == [ledger.id]


def shipped(broker: NatsBroker) -> list[str]:
    """The ledgers in a stream; none as long as it is not made."""
    try:
        return list(broker.ledgers())
    except LedgerError:
        return []


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("nats://lab:se/cret@host:4222/LEDGERS/rig", "nats://host:4222/LEDGERS/rig"),
        ("nats://lab:12/cret@host/LEDGERS", "nats://host/LEDGERS"),
        ("nats://lab:se/c/cret@host/LEDGERS", "nats://host/LEDGERS"),
        ("nats://a:b@one,c:d@two:1/LEDGERS/rig@lab", "nats://one,two:1/LEDGERS/rig@lab"),
        ("nats://host:4222/LEDGERS/rig@lab", "nats://host:4222/LEDGERS/rig@lab"),
        ("nats://[::1]:4222/LEDGERS", "nats://[::1]:4222/LEDGERS"),
        ("run.ledger", "run.ledger"),
    ],
)
def test_an_address_without_its_secret(address: str, shown: str) -> None:
    assert without_secret(address) == shown


def test_a_fleet_that_is_empty_is_told_without_the_password(
    rig: Rig, context: Context, stream: str, capsys: pytest.CaptureFixture[str]
) -> None:
    context(ca=rig.ca)
    with NatsBroker(parse(f"tls://{LAB}@{rig.host}", stream)) as broker:
        from ezmsg.ledger.tools.fleet.jetstream.stream import ready

        ready(broker, None, str)
    assert main(["fleet", "list", f"tls://{LAB}@{rig.host}/{stream}"]) == exits.USAGE
    assert "cret" not in "".join(capsys.readouterr())
