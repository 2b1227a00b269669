"""Reads: the collection at each path, and one entity of it.

Invariant: every collection takes the same options. `collection_of` follows a path along `NAVIGATION` to a collection;
then `read_page` reads it, and `entity_response` answers with one of its entities. Paths and shapes: Microsoft Graph
reference, and the service metadata.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from runtui.sandbox.entities import NAVIGATION, RUN, EntityType, Row
from runtui.sandbox.errors import GraphError, not_found, unknown_property
from runtui.sandbox.exchange import GraphResponse
from runtui.sandbox.query import COLLECTION_OPTIONS, ENTITY_OPTIONS, Query, parse_query, refuse_unknown, token_after
from runtui.sandbox.requests import Route, context_of, database_of, link_of, options_of, preferences_of, segments_of
from runtui.sandbox.tenant.people import SENT_IF_SELECTED, Person

ROOT: Final = "identityGovernance/lifecycleWorkflows"


class Collection(NamedTuple):
    """The entities at a path: their type, their owner, and their name in the context URL."""

    entity: EntityType
    owner: Mapping[str, str]
    """The owner columns and their values."""
    metadata: str


def collections(above: str = f"/{ROOT}", owner: str = "lifecycleWorkflows") -> Iterator[tuple[str, EntityType]]:
    """Yield the template of the path of each collection, and the type of its entities."""
    for name, step in NAVIGATION.get(owner, {}).items():
        path = f"{above}/{name}"
        yield path, step.entity
        if name != "reprocessedRuns":  # what belongs to such a run is at its own path
            yield from collections(f"{path}/{{key}}", step.entity.name)


def collection_of(request: Request) -> tuple[Collection, str]:
    """Return the collection that the path of a request names, and the key in it ("" if there is none). 404 if an owner
    of the collection is missing.
    """
    segments = segments_of(request)
    depth = 2 if segments[0] == "workflowBase" else 3
    service, name = segments[depth - 2 : depth]
    found, rest = Collection(NAVIGATION[service][name].entity, {}, "/".join(segments[:depth])), segments[depth:]
    while len(rest) > 1:
        key, name, *rest = rest
        step = NAVIGATION.get(found.entity.name, {}).get(name)
        if step is None:  # an action
            return found, key
        row = found.entity.by_column(row_of(request, found, key))
        owner = {column: row[source] for column, source in step.owner.items()}
        found = Collection(step.entity, owner, f"{found.metadata}('{key}')/{name}")
    return found, rest[0] if rest else ""


# The handlers.


async def read_page(request: Request) -> Response:
    (entity, owner, metadata), _ = collection_of(request)
    options = options_of(request)
    query = parse_query(options, entity, COLLECTION_OPTIONS, preferences_of(request).page_size)
    rows, next_key = database_of(request).page(entity, owner, query)
    render = _renderer(request, entity, query)
    body: dict[str, Any] = {"@odata.context": context_of(request, metadata)}
    if next_key is not None:
        body["@odata.nextLink"] = link_of(request, {**options, "$skiptoken": token_after(next_key)})
    body["value"] = [{**annotations_of(request, entity, row), **render(row)} for row in rows]
    return GraphResponse(body)


async def read_entity(request: Request) -> Response:
    return entity_response(request, *collection_of(request))


async def get_user(request: Request) -> Response:
    """Answer GET /users/{id}, by id or user principal name."""
    (_, key), options = segments_of(request), options_of(request)
    refuse_unknown(options, frozenset({"$select"}))
    person = database_of(request).people.find(key)
    if person is None:
        message = f"Resource '{key}' does not exist or one of its queried reference-property objects are not present."
        raise GraphError(404, "Request_ResourceNotFound", message)
    select = tuple(name.strip() for name in options["$select"].split(",")) if "$select" in options else ()
    context = context_of(request, "users", select) + "/$entity"
    return GraphResponse({"@odata.context": context, **_user(person, select)})


def entity_response(
    request: Request, collection: Collection, key: str, annotations: Mapping[str, str] | None = None
) -> Response:
    """Return the response with one entity of a collection, after the `annotations`; 404 if there is none."""
    entity = collection.entity
    query = parse_query(options_of(request), entity, ENTITY_OPTIONS)
    row = row_of(request, collection, key)
    render = _renderer(request, entity, query)
    context = context_of(request, collection.metadata) + "/$entity"
    own = annotations_of(request, entity, row)
    headers = {"ETag": own["@odata.etag"]} if own else None
    return GraphResponse({"@odata.context": context, **(annotations or {}), **own, **render(row)}, headers=headers)


def annotations_of(request: Request, entity: EntityType, row: Row) -> dict[str, str]:
    """Return the entity tag of a run as an annotation; empty for other entities, or if the scenario has no ETags."""
    if entity is not RUN or not request.app.state.scenario.current.has_etags:
        return {}
    return {"@odata.etag": database_of(request).etag(RUN.by_column(row)["id"], row)}


def row_of(request: Request, collection: Collection, key: str) -> Row:
    """Return the row of the entity with that key in a collection; 404 if there is none."""
    row = database_of(request).one(collection.entity, key, collection.owner)
    if row is None:
        raise not_found(collection.entity.name, key)
    return row


def _renderer(request: Request, entity: EntityType, query: Query) -> Callable[[Row], dict[str, Any]]:
    """Return a function from a row to JSON, with the expanded user. A user who no longer exists stays an id."""
    render = entity.renderer(include_newer=preferences_of(request).newer_members)
    people = database_of(request).people

    def render_expanded(row: Row) -> dict[str, Any]:
        rendered = render(row)
        if (person := people.find(rendered.get("subject", {}).get("id", ""))) is not None:
            rendered["subject"] = _user(person)
        return rendered

    return render_expanded if query.expands_subject else render


def _user(person: Person, select: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return a user as JSON: the selected properties, or those that Graph sends by default; 400 for an unknown one."""
    values = person.properties
    if not select:
        return {name: value for name, value in values.items() if name not in SENT_IF_SELECTED}
    for name in select:
        if name not in values:
            raise unknown_property(name, "microsoft.graph.user")
    return {name: values[name] for name in select}


def read_routes() -> Iterator[Route]:
    for path, _ in collections():
        yield Route(path, read_page)
        yield Route(f"{path}/{{key}}", read_entity)
    yield Route("/users/{key}", get_user)
