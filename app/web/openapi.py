"""OpenAPI 3.1 made from the table of endpoints: what is not in the table is not in the API, and the other way round."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args, get_origin

import msgspec

from app import VERSION
from app.web.endpoint import INT, PATH_PARAM, UUID_PATTERN, Access, Endpoint, Paging
from app.web.problem import CONTENT_TYPE, Problem
from app.web.reading import IDEMPOTENCY_HEADER

_REF = "#/components/schemas/{name}"
_PROBLEM = {"content": {CONTENT_TYPE: {"schema": {"$ref": _REF.format(name="Problem")}}}}
_PAGE_HEADERS = {
    "X-Total-Count": {"description": "Number of all items", "schema": {"type": "integer"}},
    "Link": {
        "description": "Addresses of the first, previous, next and last page (RFC 8288)",
        "schema": {"type": "string"},
    },
}
_IDEMPOTENCY_KEY = {
    "name": IDEMPOTENCY_HEADER,
    "in": "header",
    "description": "Any text that is new for each new request: repeated, the request has no second effect and gets the same answer",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
_DESCRIPTION = (
    "One place to run genotype imputation on the servers that hold the reference panels. Everything here is also served under"
    " `/api`. Lists are arrays; errors are `application/problem+json` with a stable `code`."
)


def build(endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    """Give the document. The same table gives the same document."""
    types = [kind for item in endpoints for kind in (item.body, item.response, item.query) if kind]
    schemas, components = msgspec.json.schema_components([Problem, *types], ref_template=_REF)
    by_type = dict(zip([_key(kind) for kind in (Problem, *types)], schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for item in endpoints:
        operation = _operation(item, by_type, components)
        paths.setdefault(item.plain_path, {})[item.method.lower()] = operation
    queries = {item.query.__name__ for item in endpoints if item.query is not None}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Federated Imputation Platform",
            "version": VERSION,
            "description": _DESCRIPTION,
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(item.tag for item in endpoints)],
        "paths": paths,
        "components": {
            "schemas": {name: components[name] for name in sorted(components.keys() - queries)},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
            },
        },
    }


def _key(kind: Any) -> str:
    return repr((get_origin(kind), get_args(kind))) if get_origin(kind) else repr(kind)


def _operation(
    item: Endpoint, by_type: Mapping[str, Any], components: Mapping[str, Any]
) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": item.name,
        "summary": item.summary,
        "tags": [item.tag],
        "security": [] if item.access is Access.PUBLIC else [{"bearer": []}],
        "parameters": [*_path_parameters(item), *_query_parameters(item, components)],
    }
    if item.creates:
        operation["parameters"].append(_IDEMPOTENCY_KEY)
    if item.body is not None:
        schema = by_type[_key(item.body)]
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schema}},
        }
    elif item.raw_body:
        operation["requestBody"] = {"required": True, "content": {item.raw_body: {"schema": {}}}}
    operation["responses"] = _responses(item, by_type)
    return _merge(operation, item.openapi)


def _path_parameters(item: Endpoint) -> Iterable[dict[str, Any]]:
    for name, pattern in PATH_PARAM.findall(item.path):
        schema: dict[str, Any] = {"type": "string"}
        if pattern == INT:
            schema = {"type": "integer", "minimum": 0}
        elif pattern == UUID_PATTERN:
            schema["format"] = "uuid"
        elif pattern:
            schema["pattern"] = f"^{pattern}$"
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def _query_parameters(item: Endpoint, components: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    if item.query is None:
        return
    described = components[item.query.__name__]
    for name, schema in described["properties"].items():
        yield {
            "name": name,
            "in": "query",
            "required": name in described.get("required", ()),
            "schema": schema,
        }


def _responses(item: Endpoint, by_type: Mapping[str, Any]) -> dict[str, Any]:
    done: dict[str, Any] = {"description": item.summary}
    if item.response is not None:
        done["content"] = {item.content: {"schema": by_type[_key(item.response)]}}
    elif item.status != 204:
        done["content"] = {item.content: {}}
    if item.query is not None and issubclass(item.query, Paging):
        done["headers"] = _PAGE_HEADERS
    responses = {str(item.status): done}
    for status, why in _refusals(item):
        responses[status] = {"description": why, **_PROBLEM}
    return responses


def _refusals(item: Endpoint) -> Iterable[tuple[str, str]]:
    if item.body is not None or item.raw_body or item.query is not None:
        yield "400", "Something about the request is wrong"
    if item.access is not Access.PUBLIC:
        yield "401", "Nobody is signed in"
    if item.access is Access.ADMIN:
        yield "403", "Only administrators may do this"
    if "{" in item.path:
        yield "404", "There is no such thing, or it is somebody else's"
    if item.creates:
        yield "422", "The Idempotency-Key stood on another request"
    if not item.unlimited:
        yield "429", "Too many requests"
    yield "default", "Any other error"


def _merge(into: dict[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(into)
    for name, value in more.items():
        old = merged.get(name)
        if isinstance(old, dict) and isinstance(value, Mapping):
            merged[name] = _merge(old, value)
        elif isinstance(old, list) and isinstance(value, list | tuple):
            merged[name] = [*old, *value]
        else:
            merged[name] = value
    return merged
