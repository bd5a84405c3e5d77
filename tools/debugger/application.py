"""The debugger as an application: addresses, what they answer with, and how a refusal is said."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from importlib.resources import files
from typing import Any

import msgspec

from ezmsg.ledger.errors import LedgerError
from ezmsg.ledger.tools.debugger.access import AccessCheck, Application
from ezmsg.ledger.tools.debugger.api.answers import ENDPOINTS, Endpoint, refusal, status_of
from ezmsg.ledger.tools.debugger.api.columns import TooLong
from ezmsg.ledger.tools.debugger.api.live import live
from ezmsg.ledger.tools.debugger.api.openapi import document
from ezmsg.ledger.tools.debugger.api.queries import Live, Query
from ezmsg.ledger.tools.debugger.watched import Watched

logger = logging.getLogger("ezmsg.ledger")

PREFIX = "/api/v1"

BYTES_MAX = 64 * 2**20
"""The largest JSON document: what a browser still reads in a second. Octets have bounds of their own."""

PAGE = "page"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


def application(watched: Watched, token: str, names: Iterable[str] = (), networks: Iterable[Any] = ()) -> Application:
    """The whole application, with its access check in front. Needs the extra ``debugger``."""
    from starlette.applications import Starlette
    from starlette.responses import RedirectResponse
    from starlette.routing import Route

    async def home(request: Any) -> Any:
        """The page's addresses are relative: the folder it lies in must end with a slash."""
        if request.url.path.endswith("/"):
            return _file("index.html")
        return RedirectResponse(f"{request.url.path}/{'?' if request.url.query else ''}{request.url.query}")

    async def openapi(request: Any) -> Any:
        return _json(document())

    routes = [Route(f"{PREFIX}/{each.path}", _answering(watched, each)) for each in ENDPOINTS]
    routes += [
        Route(f"{PREFIX}/live", _live(watched)),
        Route(f"{PREFIX}/openapi.json", openapi),
        Route("/", home),
        *(Route(f"/{name}", _serving(name)) for name in page_files() if name != "index.html"),
    ]
    missing = {404: _nothing_there, 405: _nothing_there, Exception: _fault}
    return AccessCheck(Starlette(routes=routes, exception_handlers=missing), token, names, networks)


def page_files() -> dict[str, bytes]:
    """The files that the page is made of, by name."""
    folder = files(__package__).joinpath(PAGE)
    return {each.name: each.read_bytes() for each in folder.iterdir() if each.is_file()}


def _serving(name: str) -> Callable[[Any], Awaitable[Any]]:
    async def serve(request: Any) -> Any:
        return _file(name)

    return serve


def _file(name: str) -> Any:
    from starlette.responses import Response

    data = files(__package__).joinpath(PAGE, name).read_bytes()
    return Response(data, media_type=TYPES[name[name.rindex(".") :]])


def _answering(watched: Watched, endpoint: Endpoint) -> Callable[[Any], Awaitable[Any]]:
    def asked(query: Query) -> bytes:
        body = endpoint.answer(watched, query)
        return body if isinstance(body, bytes) else msgspec.json.encode(body)

    async def answer(request: Any) -> Any:
        from starlette.responses import Response

        try:
            query = query_of(endpoint.query, request.query_params.multi_items())
            body = await watched.ask(lambda _: asked(query))
        except BadQuery as error:
            return _json(refusal(error), 400)
        except (LedgerError, OSError, TooLong) as error:
            return _json(refusal(error), status_of(error))
        if endpoint.body is None:
            return Response(body, media_type="application/octet-stream")
        if len(body) > BYTES_MAX:
            hint = f"Ask for less at a time, or ask the command line: ezmsg-ledger {endpoint.path} --json"
            return _json({"kind": "TooLong", "message": f"the answer has {len(body)} bytes", "hint": hint}, 413)
        return Response(body, media_type="application/json")

    return answer


class BadQuery(ValueError):
    """A parameter is missing, unknown, or not what it should be."""

    hint = "docs/debugger/API.md lists the parameters of each address."


def query_of(kind: type[Query], items: list[tuple[str, str]]) -> Any:
    """The parameters of a request, read as their Struct. Raises BadQuery."""
    given: dict[str, str] = {}
    for name, value in items:
        if name == "token":
            continue
        if name in given:
            raise BadQuery(f"{name} was given twice")
        given[name] = value
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        raise BadQuery(str(error)) from error


def _live(watched: Watched) -> Callable[[Any], Awaitable[Any]]:
    async def stream(request: Any) -> Any:
        from starlette.responses import StreamingResponse

        try:
            query = query_of(Live, request.query_params.multi_items())
            last = request.headers.get("last-event-id", "")
            after = int(last) if last.isascii() and last.isdigit() else query.after
            messages: AsyncIterator[bytes] = live(watched, after)
        except BadQuery as error:
            return _json(refusal(error), 400)
        return StreamingResponse(messages, media_type="text/event-stream")

    return stream


async def _nothing_there(request: Any, error: Any) -> Any:
    hint = "The API is below /api/v1/: docs/debugger/API.md lists its addresses."
    return _json({"kind": "NotThere", "message": f"there is nothing at {request.url.path}", "hint": hint}, 404)


async def _fault(request: Any, error: Exception) -> Any:
    """A fault of ours: it is logged with all there is to know, and told in a sentence."""
    logger.error("a fault of the debugger at %s", request.url.path, exc_info=error)
    message = f"this is a fault of the program: {type(error).__name__}: {error}"
    return _json({"kind": "Fault", "message": message, "hint": "Please report it."}, 500)


def _json(body: Any, status: int = 200) -> Any:
    from starlette.responses import Response

    return Response(msgspec.json.encode(body), status, media_type="application/json")
