"""Credentials for Pods, as the agent of EKS Pod Identity hands them out on a node.

A Pod sends the token that its service account was given for the audience AUDIENCE; the cluster's own API server says whose it is; the role
is that of the association. https://docs.aws.amazon.com/eks/latest/userguide/pod-id-how-it-works.html
Here the path names the cluster, which the agent on a node knows.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from model_factory.access.client import ClusterClient
from model_factory.access.errors import AccessError
from model_factory.local.clouds.aws.errors import Response
from model_factory.local.clouds.aws.moto_state import backends
from model_factory.local.lab.control_plane import ControlPlane

if TYPE_CHECKING:
    from model_factory.local.clouds.aws.eks.state import Document

PATH: Final = "/v1/credentials/"
"""Before the cluster, `<region>.<name>`. No bucket has a name of two characters."""
AUDIENCE: Final = "pods.eks.amazonaws.com"
_LIFE_SECONDS: Final = 6 * 60 * 60
_ACCOUNT_PREFIX: Final = "system:serviceaccount:"


class RefusedError(Exception):
    """No credentials, and why."""


def account_of(plane: ControlPlane, token: str) -> tuple[str, str]:
    """Namespace and name of the service account whose token it is. RefusedError where it is nobody's here. Asks the API server, which may
    ask the local AWS in turn."""
    review = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": token, "audiences": [AUDIENCE]},
    }
    try:
        client = ClusterClient.of(str(plane.admin_kubeconfig))
        try:
            status: dict[str, Any] = client.create(review).object["status"]
        finally:
            client.close()
    except AccessError as error:
        raise RefusedError(f"the cluster does not say whose the token is: {error}") from error
    name = str(status.get("user", {}).get("username", ""))
    if not status.get("authenticated") or not name.startswith(_ACCOUNT_PREFIX):
        raise RefusedError(f"the token is no service account's of this cluster for {AUDIENCE}")
    namespace, _, account = name.removeprefix(_ACCOUNT_PREFIX).partition(":")
    return namespace, account


def credentials(association: Document, region: str) -> Document:
    """A session of the association's role, in the form that SDKs read."""
    name = f"eks-{association['clusterName']}-{association['serviceAccount']}"[:64]
    session: Any = backends("sts", "global").assume_role(region, name, association["roleArn"], "", _LIFE_SECONDS, "")
    return {
        "AccessKeyId": session.access_key_id,
        "SecretAccessKey": session.secret_access_key,
        "Token": session.session_token,
        "Expiration": f"{session.expiration:%Y-%m-%dT%H:%M:%SZ}",
        "RoleArn": association["roleArn"],
    }


def answer(document: Document, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """As the agent answers."""
    return Response(status, (("Content-Type", "application/json"),), json.dumps(document).encode())
