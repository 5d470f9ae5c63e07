"""The HTTP side: find the method, check the request as Google's front end does, call the handler, word the answer.

All requests are handled on the event loop, one at a time, each in one transaction: nothing here takes longer than a few
milliseconds. Only an injected latency and a compute operation's `wait` sleep.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import pkgutil
import re
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from model_factory.local.clouds import control, gcp
from model_factory.local.clouds.gcp import errors, routing
from model_factory.local.clouds.gcp.bodies import Body, visible
from model_factory.local.clouds.gcp.core import HANDLERS, Answer, Call, Cloud, Media, Wait
from model_factory.local.clouds.gcp.errors import ApiError
from model_factory.local.clouds.gcp.routing import Match
from model_factory.local.discovery import Json, snake_to_camel

_PACKAGES: Final[Mapping[str, str]] = {
    "container": "container.v1",
    "compute": "cloud.compute.v1",
    "artifactregistry": "devtools.artifactregistry.v1",
    "iam": "iam.admin.v1",
    "cloudkms": "cloud.kms.v1",
}
_PROJECT: Final = re.compile(r"projects/([^/:]+)")
_BOOLEAN_WORDS: Final = ("true", "false", "True", "False")
_PARAMETER_PATTERN_SERVICES: Final = frozenset({"compute"})
_WAIT_STEP_SECONDS: Final = 0.02


def create_app(cloud: Cloud) -> control.AsgiApplication:
    """The ASGI application: Google's APIs, with the control calls in front."""
    # A module's handlers are registered when it is imported.
    for found in pkgutil.iter_modules(gcp.__path__, f"{gcp.__name__}."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
    importlib.import_module(f"{gcp.__name__}.container").begin_planes(cloud)

    async def endpoint(request: Request) -> Response:
        return await serve(cloud, request)

    verbs = ["GET", "POST", "PUT", "PATCH", "DELETE"]
    app = Starlette(routes=[Route("/{path:path}", endpoint, methods=verbs)])
    return control.asgi(cloud.controls, app)


async def serve(cloud: Cloud, request: Request) -> Response:
    raw_path: str = request.scope["raw_path"].decode()
    upload = raw_path.startswith(("/upload/", "/resumable/upload/"))
    matches = routing.find(request.method, raw_path.removeprefix("/resumable").removeprefix("/upload"))
    if not matches:
        return _error(ApiError(404, "NOT_FOUND", f"The requested URL {raw_path} was not found on this server."), "")
    match = _choose(cloud, matches)
    method = match.method
    delay = cloud.controls.delay_seconds(method.id)
    if delay:
        await asyncio.sleep(delay)
    data = await request.body()
    try:
        fault = cloud.controls.fault(method.id)
        if fault is not None:
            raise ApiError(fault.status, fault.error, fault.message, fault.error)
        with cloud.store.transaction():
            cloud.settle()
            call = _call(cloud, match, request, data, upload=upload)
            answer = _handle(call)
        if method.verb != "GET":
            cloud.fleets.poke()
        if isinstance(answer, Wait):
            answer = await _wait(cloud, answer)
        return _answer(answer)
    except ApiError as error:
        return _error(error, method.service)


def _choose(cloud: Cloud, matches: Sequence[Match]) -> Match:
    """Where services share a path at the root: the one that has the operation, or the first that this cloud implements."""
    for match in matches:
        name = match.parameters.get("name", "")
        if "operations" in match.method.id and cloud.store.operation(f"{match.method.service}/{name}"):
            return match
    return next((m for m in matches if m.method.id in HANDLERS), matches[0])


def _handle(call: Call) -> Answer:
    _check_project(call)
    handler = HANDLERS.get(call.method)
    if handler is None:
        raise errors.not_implemented(call.method)
    return handler(call)


def _check_project(call: Call) -> None:
    """403 for a project that is not there, and for a service that is off in it."""
    parameters = call.match.parameters
    project = parameters.get("project") or parameters.get("projectId") or call.query.get("project")
    if project is None:
        found = next((m for value in parameters.values() if (m := _PROJECT.match(value))), None)
        project = found.group(1) if found else None
    if project is None or project == "-":
        return
    number = call.cloud.project_number(project)
    disabled = call.cloud.disabled_services(project)
    if call.service in disabled or f"{call.service}.googleapis.com" in disabled:
        raise errors.service_disabled(call.service, project, number)


def _call(cloud: Cloud, match: Match, request: Request, data: bytes, *, upload: bool) -> Call:
    query = _query(match, request.scope["query_string"].decode())
    content_type = request.headers.get("content-type", "")
    body: Json = {}
    if match.method.request is not None and not upload:
        body = _body(match, match.method.request, data)
    elif data and not upload and match.method.request is None:
        raise errors.invalid("Request body is not allowed here.", "badRequest")
    return Call(cloud, match, query, body, data, content_type)


def _query(match: Match, text: str) -> Mapping[str, str]:
    known = {**match.document.parameters, **match.method.parameters}
    result: dict[str, str] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        canonical = name if name in known else snake_to_camel(name)
        parameter = known.get(canonical) or known.get(f"options.{canonical.removeprefix('options')}")
        if canonical == "$alt" or (canonical == "name" and match.method.service == "storage"):
            parameter = {"type": "string"}
        if parameter is None:
            field = f"Invalid JSON payload received. Unknown name \"{name}\": Cannot bind query parameter. Field '{name}' could not be found in request message."
            raise errors.invalid(field, "badRequest")
        kind = parameter.get("type")
        if (kind == "integer" and not re.fullmatch(r"-?\d+", value)) or (
            kind == "boolean" and value not in _BOOLEAN_WORDS
        ):
            raise errors.invalid(
                f"Invalid value at '{canonical}' (TYPE_{str(parameter.get('format', kind)).upper()}), \"{value}\""
            )
        if "enum" in parameter and value not in parameter["enum"]:
            raise errors.invalid(f"Invalid value at '{canonical}' ({', '.join(parameter['enum'])}), \"{value}\"")
        result[canonical] = value
    if result.get("fields", "*") != "*":
        raise errors.not_implemented("partial answers (fields)")
    for name, parameter in match.method.parameters.items():
        if parameter.get("required") and parameter.get("location") == "query" and name not in result:
            raise errors.invalid(f"Required parameter: {name}", "required")
        pattern = parameter.get("pattern")
        value = match.parameters.get(name)
        if (
            pattern
            and value is not None
            and match.method.service in _PARAMETER_PATTERN_SERVICES
            and not re.fullmatch(pattern, value)
        ):
            raise errors.invalid(f"Invalid value for field '{name}': '{value}'. Must be a match of regex '{pattern}'")
    return result


def _body(match: Match, schema: str, data: bytes) -> Body:
    method = match.method
    try:
        value: Json = json.loads(data) if data else {}
    except ValueError as error:
        raise errors.invalid(f"Invalid JSON payload received. {error}", "parseError") from error
    checked, violations = match.document.check(schema, value, method=method.id)
    if violations:
        package, classic = (
            _PACKAGES.get(method.service, method.service),
            method.service in errors.CLASSIC_SERVICES,
        )
        raise errors.bad_request(violations, package=package, classic=classic)
    if method.verb == "PATCH" and method.service in errors.CLASSIC_SERVICES:
        return checked
    return _without_nulls(checked)


def _without_nulls(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return value


async def _wait(cloud: Cloud, wait: Wait) -> Body:
    end = asyncio.get_running_loop().time() + wait.limit_seconds
    while True:
        cloud.settle()
        operation = cloud.store.operation(wait.operation_key)
        if operation is None:
            raise errors.not_found(f"The resource '{wait.operation_key}' was not found")
        left = end - asyncio.get_running_loop().time()
        if operation.done or left <= 0:
            return visible(operation.body)
        await asyncio.sleep(min(left, max(_WAIT_STEP_SECONDS, operation.due - cloud.clock())))


def _answer(answer: Body | Media | None) -> Response:
    if answer is None:
        return Response(status_code=204)
    if isinstance(answer, Media):
        return Response(answer.data, media_type=answer.content_type)
    return Response(json.dumps(answer), media_type="application/json; charset=UTF-8")


def _error(error: ApiError, service: str) -> Response:
    return Response(
        json.dumps(error.body(service)), status_code=error.code, media_type="application/json; charset=UTF-8"
    )
