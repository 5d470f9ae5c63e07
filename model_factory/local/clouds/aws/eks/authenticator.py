"""Whose a token for a cluster is, as EKS answers its API servers.

A token is a presigned GetCallerIdentity of STS that names the cluster in a signed header:
https://github.com/kubernetes-sigs/aws-iam-authenticator#api-authorization-from-outside-a-cluster
Where moto made the access key, the signature is checked, and with it the cluster's name. The local AWS knows no other keys' secrets, and
takes whoever signs with one for the account's root, as it does in all other calls.

Of policies only AmazonEKSClusterAdminPolicy for the whole cluster counts here; EKS's own authorizer, which knows the others, is not here.
Nor are node roles: nodes have certificates.
"""

from __future__ import annotations

import base64
import binascii
import datetime
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from model_factory.local.clouds.aws.clock import ACCOUNT, PARTITION, Clock
from model_factory.local.clouds.aws.eks import catalogue
from model_factory.local.clouds.aws.eks.state import Cluster, Document
from model_factory.local.clouds.aws.moto_state import backends

PREFIX: Final = "k8s-aws-v1."
CLUSTER_HEADER: Final = "x-k8s-aws-id"
ADMINISTRATORS: Final = "system:masters"
ROOT: Final = f"arn:{PARTITION}:iam::{ACCOUNT}:root"
_ADMIN_POLICY: Final = f"{catalogue.ACCESS_POLICY_PREFIX}AmazonEKSClusterAdminPolicy"
_LIFE: Final = datetime.timedelta(minutes=15)
_EARLIER: Final = datetime.timedelta(minutes=5)
_ACTION: Final = {"Action": "GetCallerIdentity", "Version": "2011-06-15"}


@dataclass(frozen=True, slots=True)
class _Signer:
    """Who has an access key: the principal that access entries name, its session if it is a role, and the secret where it is known."""

    principal: str
    session: str = ""
    secret: str = ""


def authenticate(cluster: Cluster, token: str, clock: Clock) -> Document | None:
    """The user that the token's maker is in this cluster; None where it is no token, is not valid, or has no access entry."""
    signer = _signer(cluster.name, token, clock)
    if signer is None:
        return None
    entry = cluster.access_entries.get(signer.principal)
    config = cluster.document["accessConfig"]
    if entry is None:
        made_by_root = signer.principal == ROOT and config["authenticationMode"] == "CONFIG_MAP"
        return _user(ROOT, signer.principal, [ADMINISTRATORS]) if made_by_root else None
    if entry.document["type"] != "STANDARD":
        return None
    policy = entry.policies.get(_ADMIN_POLICY)
    is_admin = policy is not None and policy["accessScope"]["type"] == "cluster"
    groups = [*entry.document["kubernetesGroups"], *([ADMINISTRATORS] if is_admin else [])]
    name = entry.document["username"].replace("{{SessionName}}", signer.session)
    return _user(name, signer.principal, groups)


def _user(name: str, principal: str, groups: list[str]) -> Document:
    return {"username": name, "uid": f"aws-iam-authenticator:{ACCOUNT}:{principal}", "groups": groups}


def _signer(cluster: str, token: str, clock: Clock) -> _Signer | None:
    if not token.startswith(PREFIX):
        return None
    try:
        encoded = token.removeprefix(PREFIX)
        url = urlsplit(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode())
    except (ValueError, binascii.Error):
        return None
    query = dict(parse_qsl(url.query))
    signed = query.get("X-Amz-SignedHeaders", "").split(";")
    if any(query.get(key) != value for key, value in _ACTION.items()):
        return None
    if not (url.hostname or "").startswith("sts.") or CLUSTER_HEADER not in signed or "host" not in signed:
        return None
    try:
        made = datetime.datetime.strptime(query.get("X-Amz-Date", ""), "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.UTC)
        key_id, _, region, *_ = query.get("X-Amz-Credential", "").split("/")
    except ValueError:
        return None
    if not made - _EARLIER <= clock.datetime <= made + _LIFE:
        return None
    signer = _holder(key_id)
    if signer.secret:
        unsigned = {key: value for key, value in query.items() if key != "X-Amz-Signature"}
        request: Any = AWSRequest("GET", urlunsplit(url._replace(query=urlencode(unsigned))))
        request.headers[CLUSTER_HEADER] = cluster
        request.context["timestamp"] = query["X-Amz-Date"]
        signature: Any = SigV4QueryAuth(Credentials(key_id, signer.secret), "sts", region)
        wanted = signature.signature(signature.string_to_sign(request, signature.canonical_request(request)), request)
        if query.get("X-Amz-Signature") != wanted:
            return None
    return signer


def _holder(key_id: str) -> _Signer:
    role = backends("sts", "global").get_assumed_role_from_access_key(key_id)
    if role is not None:
        return _Signer(role.role_arn, role.session_name, role.secret_access_key)
    iam = backends("iam", "global")
    for user in iam.users.values():
        for key in user.access_keys:
            if key.access_key_id == key_id:
                return _Signer(user.arn, "", key.secret_access_key)
    return _Signer(ROOT)
