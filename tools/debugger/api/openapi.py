"""The OpenAPI file of the debugger's API, and the page's types, made from the Structs of requests and answers."""

import inspect
import re
import sys
from pathlib import Path
from typing import Any

import msgspec

from ezmsg.ledger.tools.debugger.api import bodies, queries
from ezmsg.ledger.tools.debugger.api.answers import ENDPOINTS

REFUSALS = {
    "400": "a parameter is missing, unknown or not what it should be",
    "403": "the token is missing or wrong, or the host is not let in",
    "404": "there is no such moment or subject",
    "409": "the ledger is damaged, or cannot be read",
    "413": "the answer would be too large",
}


def document() -> dict[str, Any]:
    """The whole description, as OpenAPI 3.1 has it."""
    shapes = [each.body for each in ENDPOINTS if each.body is not None]
    _, components = msgspec.json.schema_components(
        [*shapes, bodies.Refusal, bodies.Status], ref_template="#/components/schemas/{name}"
    )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "ezmsg-ledger debugger",
            "version": "1",
            "description": "Read-only questions about one ledger. The address that `ezmsg-ledger debug` prints has "
            "the token; give it as a bearer token, as `token=` in the query, or as the first folder of the path.",
        },
        "servers": [{"url": "/api/v1"}],
        "security": [{"token": []}],
        "paths": {
            **{f"/{each.path}": _path(each.summary, each.query, each.body) for each in ENDPOINTS},
            "/live": _live(),
        },
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {name: _said(schema) for name, schema in sorted(components.items())},
        },
    }


def _path(summary: str, query: type[queries.Query], body: Any) -> dict[str, Any]:
    if body is None:
        content = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    else:
        content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{body.__name__}"}}}
    return {"get": {**_operation(summary, query), "responses": {"200": _answer(summary, content), **_refusals()}}}


def _live() -> dict[str, Any]:
    summary = "What comes into the ledger, as server-sent events: `status` and `events`"
    content = {"text/event-stream": {"schema": {"type": "string"}}}
    operation = _operation(summary, queries.Live)
    operation["parameters"].append(
        {"name": "Last-Event-ID", "in": "header", "required": False, "schema": {"type": "string"}}
    )
    return {"get": {**operation, "responses": {"200": _answer(summary, content), **_refusals()}}}


def _operation(summary: str, query: type[queries.Query]) -> dict[str, Any]:
    _, shapes = msgspec.json.schema_components([query])
    shape = shapes[query.__name__]
    parameters = [
        {
            "name": name,
            "in": "query",
            "required": name in shape.get("required", []),
            "schema": _plain({key: value for key, value in schema.items() if key != "description"}),
        }
        for name, schema in shape["properties"].items()
    ]
    about = inspect.cleandoc(query.__doc__ or "").replace("``", "`").replace("\n", " ")
    return {"summary": summary, "description": about, "parameters": parameters}


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter that is left out is not null: a query cannot say one."""
    options = [each for each in schema.get("anyOf", []) if each != {"type": "null"}]
    if len(options) == 1:
        schema = {key: value for key, value in schema.items() if key != "anyOf"} | options[0]
    if schema.get("default", 0) is None:
        del schema["default"]
    return schema


def _answer(summary: str, content: dict[str, Any]) -> dict[str, Any]:
    return {"description": summary, "content": content}


def _refusals() -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}}
    return {status: _answer(why, content) for status, why in REFUSALS.items()}


def _said(schema: dict[str, Any]) -> dict[str, Any]:
    if "description" in schema:
        schema = {**schema, "description": re.sub(r"\s+", " ", schema["description"]).replace("``", "`").strip()}
    return schema


# --- types for the page ----------------------------------------------------------------------------------------------


def typescript() -> str:
    """The shapes of the document as TypeScript: an interface each."""
    lines = ["// Made from the Structs of the server: make page", ""]
    for name, schema in document()["components"]["schemas"].items():
        lines.append(f"export interface {name} {{")
        required = schema.get("required", [])
        for field, shape in schema.get("properties", {}).items():
            key = field if re.fullmatch(r"\w+", field) else f'"{field}"'
            lines.append(f"  {key}{'' if field in required else '?'}: {_type(shape)};")
        lines += ["}", ""]
    return "\n".join(lines)


def _type(shape: dict[str, Any]) -> str:
    if "$ref" in shape:
        return str(shape["$ref"]).rpartition("/")[2]
    if "anyOf" in shape:
        return " | ".join(_type(each) for each in shape["anyOf"])
    if "enum" in shape:
        return " | ".join(f'"{each}"' for each in shape["enum"])
    kind = shape.get("type")
    if kind == "array":
        if "prefixItems" in shape:
            return f"[{', '.join(_type(each) for each in shape['prefixItems'])}]"
        inner = _type(shape["items"]) if isinstance(shape.get("items"), dict) else "unknown"
        return f"({inner})[]" if " " in inner else f"{inner}[]"
    if kind == "object":
        inside = shape.get("additionalProperties")
        return f"Record<string, {_type(inside) if isinstance(inside, dict) else 'unknown'}>"
    names = {"integer": "number", "number": "number", "string": "string", "boolean": "boolean", "null": "null"}
    return names.get(kind or "", "unknown")


def main(arguments: list[str]) -> None:
    """Write both files: the OpenAPI document, and the page's types."""
    openapi, types = map(Path, arguments)
    openapi.write_bytes(msgspec.json.format(msgspec.json.encode(document()), indent=1) + b"\n")
    types.write_text(typescript(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
