"""botocore's connections, to loopback alone, and what counts as an answer on them."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Mapping
from typing import Any, Final

from botocore.awsrequest import AWSHTTPConnection, AWSHTTPConnectionPool, AWSHTTPSConnection, AWSHTTPSConnectionPool
from botocore.model import OperationModel
from botocore.parsers import ResponseParserError

from model_factory.local.loopback import checked

# A member in JSON, a text in XML. `{}` and an empty element are answers without contents.
_SAYS_SOMETHING: Final = re.compile(rb"\{\s*\"|\[|>\s*[^<\s]")


class _Plain(AWSHTTPConnection):
    def _new_conn(self) -> socket.socket:
        return checked(super()._new_conn())


class _Tls(AWSHTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return checked(super()._new_conn())


class _PlainPool(AWSHTTPConnectionPool):
    ConnectionCls = _Plain


class _TlsPool(AWSHTTPSConnectionPool):
    ConnectionCls = _Tls


def keep_on_loopback(client: Any) -> None:
    """Let a client that has not connected yet make such connections only. botocore itself follows no redirect."""
    # botocore makes its session by itself, and has no setting for the connections.
    client._endpoint.http_session._manager.pool_classes_by_scheme = {"http": _PlainPool, "https": _TlsPool}  # noqa: SLF001


def refuse_broken_answers(client: Any) -> None:
    """Let calls fail with ResponseParserError where botocore reads an answer that was cut, or is none, as one with nothing in it."""
    client.meta.events.register("before-parse", _check_answer)
    client.meta.events.register("after-call", _check_contents)


def _check_answer(operation_model: OperationModel, response_dict: Mapping[str, Any], **_: Any) -> None:
    body, headers = response_dict["body"], response_dict["headers"]
    if not isinstance(body, bytes) or operation_model.http.get("method") == "HEAD":
        return  # read by whoever asked, or not there at all
    promised = int(headers.get("Content-Length") or 0)
    if len(body) < promised:
        raise ResponseParserError(f"the answer ended after {len(body)} of {promised} bytes")
    if response_dict["status_code"] >= 300 or not body:
        return
    if body.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html")):
        raise ResponseParserError("the answer is a web page, not one of the API; what stands at this address?")
    shape: Any = operation_model.output_shape
    wrapper = shape.serialization.get("resultWrapper", "") if shape else ""
    if wrapper.encode() not in body:  # botocore would fail with a KeyError
        raise ResponseParserError(f"the answer has no {wrapper}: {body[:60]!r}")
    if "json" in operation_model.service_model.resolved_protocol:
        try:
            json.loads(body)
        except ValueError as error:
            raise ResponseParserError(f"the answer is no JSON ({error})") from error


def _check_contents(http_response: Any, parsed: Mapping[str, Any], model: OperationModel, **_: Any) -> None:
    """botocore passes over what an operation's answer cannot have: where that is all there is, another API answered."""
    if http_response.status_code >= 300 or parsed.keys() - {"ResponseMetadata"} or model.has_streaming_output:
        return
    content = http_response.content
    if _SAYS_SOMETHING.search(content) and f"{model.name}Response".encode() not in content:
        raise ResponseParserError(f"the answer has nothing that {model.name} answers: {content[:60]!r}")
