"""Operations that moto lacks, on moto's state: small ones that this stack's resources need."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

from model_factory.local.clouds.aws.errors import AwsError, Response
from model_factory.local.clouds.aws.moto_state import backends, key_state
from model_factory.local.clouds.aws.routing import Call


def answer(call: Call) -> Response | None:
    """The call's answer; None where it is not one of these."""
    handler = _HANDLERS.get(call.name)
    if handler is None:
        return None
    handler(call)
    if call.protocol == "query":
        name = f"{call.operation}Response"
        body = f"<{name}><ResponseMetadata><RequestId>local</RequestId></ResponseMetadata></{name}>"
        return Response(HTTPStatus.OK, (("Content-Type", "text/xml"),), body.encode())
    return Response(HTTPStatus.OK, (("Content-Type", "application/x-amz-json-1.1"),), b"{}")


def _log_group(call: Call) -> Any:
    request: Any = call.request.get_json(force=True)
    name = request.get("logGroupName") or request.get("resourceIdentifier", "").split(":log-group:")[-1]
    group = backends("logs", call.region).groups.get(name)
    if group is None:
        raise AwsError("ResourceNotFoundException", "The specified log group does not exist.")
    return group


def _associate_kms_key(call: Call) -> None:
    request: Any = call.request.get_json(force=True)
    group, key = _log_group(call), request["kmsKeyId"]
    if key_state(call.region, key) != "Enabled":
        raise AwsError("InvalidParameterException", f"The specified KMS key does not exist or is not allowed: {key}")
    group.kms_key_id = key


def _disassociate_kms_key(call: Call) -> None:
    _log_group(call).kms_key_id = None


def _client_ids(call: Call) -> tuple[list[str], str]:
    arn = call.request.values.get("OpenIDConnectProviderArn", "")
    provider = backends("iam", "global").open_id_providers.get(arn)
    if provider is None:
        raise AwsError("NoSuchEntity", f"OpenIDConnect Provider not found for arn {arn}", HTTPStatus.NOT_FOUND)
    return provider.client_id_list, call.request.values.get("ClientID", "")


def _add_client_id(call: Call) -> None:
    known, client_id = _client_ids(call)
    if client_id not in known:
        known.append(client_id)


def _remove_client_id(call: Call) -> None:
    known, client_id = _client_ids(call)
    if client_id in known:
        known.remove(client_id)


_HANDLERS: Final[Mapping[str, Callable[[Call], None]]] = {
    "iam:AddClientIDToOpenIDConnectProvider": _add_client_id,
    "iam:RemoveClientIDFromOpenIDConnectProvider": _remove_client_id,
    "logs:AssociateKmsKey": _associate_kms_key,
    "logs:DisassociateKmsKey": _disassociate_kms_key,
}
