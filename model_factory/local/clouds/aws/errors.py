"""Errors as AWS words them, in each of its wire protocols."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus
from xml.sax.saxutils import escape


class AwsError(Exception):
    """A refusal in AWS's terms: error code, message and HTTP status."""

    def __init__(self, code: str, message: str, status: int = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = int(status)


class NotImplementedHereError(AwsError):
    """The local cloud does not do this: answered with status 501, which no SDK retries."""

    def __init__(self, what: str) -> None:
        super().__init__("NotImplemented", f"the local AWS does not implement {what}", HTTPStatus.NOT_IMPLEMENTED)


@dataclass(frozen=True, slots=True)
class Response:
    """A whole HTTP answer."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def render(error: AwsError, protocol: str, request_id: str) -> Response:
    """The error in a protocol of botocore's models: ec2, query, json, rest-json or rest-xml."""
    code, message = escape(error.code), escape(error.message)
    match protocol:
        case "ec2":
            body = (
                f"<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>"
                f"<RequestID>{request_id}</RequestID></Response>"
            )
        case "query":
            fault = "Receiver" if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR else "Sender"
            body = (
                f"<ErrorResponse><Error><Type>{fault}</Type><Code>{code}</Code><Message>{message}</Message></Error>"
                f"<RequestId>{request_id}</RequestId></ErrorResponse>"
            )
        case "rest-xml":
            body = f"<Error><Code>{code}</Code><Message>{message}</Message><RequestId>{request_id}</RequestId></Error>"
        case _:
            return Response(
                error.status,
                (
                    ("Content-Type", "application/json"),
                    ("x-amzn-errortype", error.code),
                    ("x-amzn-requestid", request_id),
                ),
                json.dumps({"__type": error.code, "message": error.message}).encode(),
            )
    return Response(
        error.status,
        (("Content-Type", "text/xml"), ("x-amzn-requestid", request_id)),
        f'<?xml version="1.0" encoding="UTF-8"?>\n{body}'.encode(),
    )
