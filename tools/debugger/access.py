"""A request is let in with the token, from an allowed address, and by this server's name as its Host."""

import ipaddress
import secrets
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, TypeAlias
from urllib.parse import parse_qs

import msgspec

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

TOKEN_BYTES = 18
"""Random bytes in an address: 24 characters, far beyond guessing."""

HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
"""Headers of every answer. No other site gets one, no script but our own runs, and no address is told to anybody."""


class AccessCheck:
    """Stands before an application. What it does not let in gets a JSON object that says why.

    ``token`` stands in the path (``/TOKEN/...``), in the query (``?token=``) or in ``Authorization: Bearer TOKEN``.
    ``names`` are the hosts by which this server may be asked for: a page of another site whose name was made to lead
    here asks by that name. ``networks``: from where, beside this machine; none means from nowhere else.
    """

    def __init__(
        self,
        application: Application,
        token: str,
        names: Iterable[str] = (),
        networks: Iterable[ipaddress.IPv4Network] = (),
    ) -> None:
        self._application = application
        self._token = token
        self._names = {"localhost", *(name.lower() for name in names)}
        self._networks = tuple(networks)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return

        async def send_guarded(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                ours = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message = {**message, "headers": [*message.get("headers", []), *ours]}
            await send(message)

        refusal = self._refusal(scope)
        if refusal is not None:
            status, message, hint = refusal
            await answer(send_guarded, status, "NotLetIn", message, hint)
            return
        await self._application(_without_token(scope, self._token), receive, send_guarded)

    def _refusal(self, scope: Scope) -> tuple[int, str, str] | None:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if not self._is_ours(headers.get("host", "")):
            return 421, f"this server is not called {headers.get('host', '')!r}", "Use the address that was printed."
        if not self._may_come(scope.get("client")):
            return 403, "this host is not let in", "ezmsg-ledger debug --host HOST --allow NETWORK lets others in."
        if not self._knows_token(scope, headers):
            hint = "Use the whole address that ezmsg-ledger debug printed: the token is a part of it."
            return 403, "the token is missing, or it is another one", hint
        if scope["method"] not in ("GET", "HEAD"):
            return 405, f"{scope['method']} is not answered: this server only shows", "Use GET."
        return None

    def _is_ours(self, host: str) -> bool:
        name = host.strip().lower()
        if name.startswith("["):
            name = name[1:].partition("]")[0]
        else:
            name = name.partition(":")[0]
        if name in self._names:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or bool(self._networks)

    def _may_come(self, client: tuple[str, int] | None) -> bool:
        try:
            address = ipaddress.ip_address(client[0] if client else "")
        except ValueError:
            return False
        return address.is_loopback or any(address in network for network in self._networks)

    def _knows_token(self, scope: Scope, headers: dict[str, str]) -> bool:
        given = [str(scope["path"]).split("/")[1]]
        given += parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [])
        kind, _, value = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            given.append(value.strip())
        return any(secrets.compare_digest(each.encode(), self._token.encode()) for each in given)


def _without_token(scope: Scope, token: str) -> Scope:
    """The scope as the application knows it: a token in the path is the folder that it is mounted at."""
    if str(scope["path"]).split("/")[1] != token:
        return scope
    return {**scope, "root_path": f"{scope.get('root_path', '')}/{token}"}


async def answer(send: Send, status: int, kind: str, message: str, hint: str) -> None:
    """Send a refusal: a JSON object with ``kind``, ``message`` and ``hint``."""
    body = msgspec.json.encode({"kind": kind, "message": message, "hint": hint})
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
