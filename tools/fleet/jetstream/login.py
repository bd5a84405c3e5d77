"""The login to a broker: what stands in its address, and in a context of the ``nats`` program.

A name and a password never come back out of here but to the client library: no error and no repr shows them.
"""

import json
import os
import re
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ezmsg.ledger.extras import needed
from ezmsg.ledger.tools.exits import MissingExtra
from ezmsg.ledger.tools.fleet.errors import NoStream
from ezmsg.ledger.tools.fleet.jetstream.place import USAGE, Place

CONTEXT_ENV = "NATS_CONTEXT"
"""The variable that names a context of the `nats` program: its user, credentials and certificates are taken."""

API = "$JS.API"
"""How the subjects of JetStream's requests begin, where neither a domain nor a prefix says otherwise."""

_TEXTS = {"user": "user", "password": "password", "token": "token", "inbox_prefix": "inbox_prefix"}
_FILES = {"creds": "user_credentials", "nkey": "nkeys_seed"}
_WHO = ("user", "password", "token", "user_credentials", "nkeys_seed")


class Login:
    """The servers of one broker, and all that a connection to them is made with.

    ``servers`` are the URLs without user and password; ``options`` go to ``nats.connect``. ``secure``: nothing is said
    to a server that does not encrypt. ``api`` begins the subjects of requests.
    """

    def __init__(self, servers: tuple[str, ...], options: dict[str, Any], secure: bool, api: str = API) -> None:
        self.servers = servers
        self.options = options
        self.secure = secure
        self.api = api

    def __repr__(self) -> str:
        return f"<login to {', '.join(self.servers)} with {', '.join(sorted(self.options)) or 'nothing'}>"


def login(place: Place) -> Login:
    """The login at ``place``: as whom is said by the address, else by the context of $NATS_CONTEXT; that tells of
    certificates in any case. Raises NoStream.
    """
    servers, who = _in_address(place)
    path, context = _context()
    options: dict[str, Any] = {ours: context[theirs] for theirs, ours in _TEXTS.items() if context.get(theirs)}
    for theirs, ours in _FILES.items():
        if context.get(theirs):
            options[ours] = _readable(path, theirs, context[theirs])
    if "nkeys_seed" in options:
        _check_seed(path, "nkey", options["nkeys_seed"], Path(options["nkeys_seed"]).read_bytes())
    if "user_credentials" in options:
        _check_credentials(path, options["user_credentials"])
    if who:
        options = {key: value for key, value in options.items() if key not in _WHO} | who
    secure = any(server.startswith("tls://") for server in servers)
    if any(context.get(key) for key in ("ca", "cert", "key")):
        options["tls"] = _certificates(path, context)
        secure = True
    if context.get("tls_first"):
        options["tls_handshake_first"] = True
        options.setdefault("tls", ssl.create_default_context())
        secure = True
    domain = context.get("jetstream_domain")
    api = context.get("jetstream_api_prefix") or (f"$JS.{domain}.API" if domain else API)
    return Login(servers, options, secure, api)


def client_of(nats: Any, login: Login) -> Any:
    """A client of the library; of a ``secure`` login one that sends no password before the connection is encrypted:
    the library itself takes tls:// for a wish."""
    base: Any = nats.aio.client.Client

    class Client(base):  # type: ignore[misc]
        def _connect_command(self) -> bytes:
            if login.secure and not self._server_info.get("tls_required"):
                shown = ", ".join(login.servers)
                raise NoStream(f"{shown} does not encrypt, and is asked to", hint=_PLAIN_HINT)
            return bytes(super()._connect_command())

    return Client()


def _in_address(place: Place) -> tuple[tuple[str, ...], dict[str, str]]:
    """The servers without who logs in, and that: the first one that names somebody."""
    servers: list[str] = []
    who: dict[str, str] = {}
    for server in place.servers:
        scheme, _, rest = server.partition("://")
        host = rest.rpartition("@")[2]
        servers.append(f"{scheme}://{host}")
        try:
            url = urlsplit(server)
            name, password = url.username, url.password
        except ValueError as error:
            raise NoStream(f"{scheme}://{host} has a user that cannot be read", hint=USAGE) from error
        if name and not who:  # an @ or a / in a password is written as %40 or %2F
            who = (
                {"token": unquote(name)} if password is None else {"user": unquote(name), "password": unquote(password)}
            )
    return tuple(servers), who


def _context() -> tuple[Path, dict[str, Any]]:
    """The context that is named, and its file; nothing without one."""
    name = os.environ.get(CONTEXT_ENV)
    if not name:
        return Path(), {}
    base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    path = Path(name) if name.endswith(".json") else base / "nats" / "context" / f"{name}.json"
    try:
        found = json.loads(path.read_text("utf-8"))
        if not isinstance(found, dict):
            raise ValueError("it is not an object")
        for key in (*_TEXTS, *_FILES, "ca", "cert", "key", "jetstream_domain", "jetstream_api_prefix"):
            if not isinstance(found.get(key, ""), str):
                raise ValueError(f"{key} is not a text")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise NoStream(f"{path}, the context that ${CONTEXT_ENV} names, cannot be read: {why}", hint=_HINT) from error
    return path, found


def _readable(context: Path, key: str, name: str) -> str:
    """The path of a file that a context names. Raises NoStream when it cannot be read."""
    path = os.path.expanduser(name)
    try:
        with open(path, "rb"):
            return path
    except OSError as error:
        raise NoStream(f"{path}, the {key} of {context}, cannot be read: {error.strerror}", hint=_HINT) from error


def _check_credentials(context: Path, path: str) -> None:
    """Raise NoStream unless the file holds a token and the seed of its key, as ``nsc`` writes them."""
    parts = re.findall(rb"-{3,}BEGIN [^-]+-{3,}\s+(\S+)\s+-{3,}END [^-]+-{3,}", Path(path).read_bytes())
    if len(parts) != 2 or parts[0].count(b".") != 2:
        raise NoStream(f"{path}, the creds of {context}, holds no token and seed of a user", hint=_HINT)
    _check_seed(context, "creds", path, parts[1])


def _check_seed(context: Path, key: str, path: str, seed: bytes) -> None:
    """Raise NoStream unless this is the seed of an nkey. The library itself takes one with a typing error in it."""
    nkeys = needed("nkeys", "ezmsg-ledger[fleet]", "An nkey", MissingExtra)
    try:
        prefix, raw = nkeys.decode_seed(bytearray(seed.strip()))
        if nkeys.encode_seed(raw, prefix) != seed.strip():  # the checksum at its end
            raise ValueError("the checksum differs")
    except (nkeys.NkeysError, ValueError) as error:
        raise NoStream(f"{path}, the {key} of {context}, holds no seed of an nkey", hint=_HINT) from error


def _certificates(context: Path, found: dict[str, Any]) -> ssl.SSLContext:
    paths = {key: _readable(context, key, found[key]) for key in ("ca", "cert", "key") if found.get(key)}
    what = "ca"
    try:
        made = ssl.create_default_context(cafile=paths.get("ca"))
        what = "cert or key"
        if "cert" in paths:
            made.load_cert_chain(paths["cert"], paths.get("key"))
    except (OSError, ValueError) as error:  # of which ssl.SSLError is one
        raise NoStream(
            f"the {what} of {context} cannot be used: it is not in PEM form, or not of one pair", hint=_HINT
        ) from error
    return made


_PLAIN_HINT = "Nothing was sent. Turn TLS on at the server, or, where nobody else is on the network, use nats://."
_HINT = f"`nats context edit` changes a context, `nats context ls` shows those there are; or unset {CONTEXT_ENV}."
