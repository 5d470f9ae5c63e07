"""`factory cluster-token`: a token for a cluster of the local clouds, as kubeconfigs ask for one.

Stands where `aws eks get-token` and `gke-gcloud-auth-plugin` stand with real accounts, and prints what they print: an ExecCredential.
https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
"""

from __future__ import annotations

import base64
import datetime
import json
import sys
from typing import Annotated, Any, Final

import typer

app = typer.Typer(
    help="A token for a cluster of the local clouds: what kubeconfigs of the lab call. Good for no real account.",
    no_args_is_help=True,
)

_AWS_LIFE: Final = datetime.timedelta(minutes=14)
"""EKS takes a token for 15."""
_GOOGLE_LIFE: Final = datetime.timedelta(hours=1)
_LOCAL_KEY: Final = "test"
"""The local AWS takes it, as any key that it did not make, for the account's root."""
_LOCAL_GOOGLE: Final = "ya29.local"


def main() -> None:
    """The command as `factory cluster-token`, without the others."""
    app(sys.argv[2:], prog_name="factory cluster-token")


@app.command()
def aws(
    cluster_name: Annotated[str, typer.Option("--cluster-name", help="The EKS cluster.")],
    region: Annotated[str, typer.Option("--region", help="Its region.")],
) -> None:
    """For a cluster of the local EKS, as the account's root. For another, use `aws eks get-token` with keys of the local AWS."""
    _print(eks_token(cluster_name, region), _AWS_LIFE)


@app.command()
def gcp() -> None:
    """For any cluster of the local GKE."""
    _print(_LOCAL_GOOGLE, _GOOGLE_LIFE)


def eks_token(cluster_name: str, region: str) -> str:
    """A GetCallerIdentity that is signed and not sent, which names the cluster in a signed header."""
    from botocore.auth import SigV4QueryAuth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    url = f"https://sts.{region}.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15"
    request: Any = AWSRequest("GET", url, headers={"x-k8s-aws-id": cluster_name})
    SigV4QueryAuth(Credentials(_LOCAL_KEY, _LOCAL_KEY), "sts", region, expires=60).add_auth(request)
    return "k8s-aws-v1." + base64.urlsafe_b64encode(str(request.url).encode()).decode().rstrip("=")


def _print(token: str, life: datetime.timedelta) -> None:
    expires = (datetime.datetime.now(datetime.UTC) + life).strftime("%Y-%m-%dT%H:%M:%SZ")
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "kind": "ExecCredential",
        "spec": {},
        "status": {"expirationTimestamp": expires, "token": token},
    }
    sys.stdout.write(json.dumps(credential) + "\n")
