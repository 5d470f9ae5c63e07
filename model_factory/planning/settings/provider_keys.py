"""The configuration of the Pulumi providers, as far as a stack file may hold it: a typo there would be ignored without a word."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "aws": (
        "accessKey", "allowedAccountIds", "assumeRoleWithWebIdentity", "assumeRoles", "customCaBundle", "defaultTags",
        "ec2MetadataServiceEndpoint", "ec2MetadataServiceEndpointMode", "endpoints", "forbiddenAccountIds", "httpProxy", "httpsProxy",
        "ignoreTags", "insecure", "maxRetries", "noProxy", "profile", "region", "retryMode", "s3UsEast1RegionalEndpoint",
        "s3UsePathStyle", "secretKey", "sharedConfigFiles", "sharedCredentialsFiles", "skipCredentialsValidation",
        "skipMetadataApiCheck", "skipRegionValidation", "skipRequestingAccountId", "stsRegion", "tagPolicyCompliance", "token",
        "tokenBucketRateLimiterCapacity", "useDualstackEndpoint", "useFipsEndpoint", "userAgents",
    ),
    "docker": ("caMaterial", "certMaterial", "certPath", "context", "host", "keyMaterial", "registryAuth", "sshOpts"),
    "docker-build": ("host", "registries"),
    "gcp": (
        "accessToken", "addPulumiAttributionLabel", "artifactRegistryCustomEndpoint", "batching", "billingProject",
        "computeCustomEndpoint", "containerCustomEndpoint", "credentials", "defaultLabels", "externalCredentials",
        "iamCustomEndpoint", "impersonateServiceAccount", "impersonateServiceAccountDelegates", "kmsCustomEndpoint", "pollInterval",
        "preferGlobalEndpoints", "preferRegionalEndpoints", "project", "region", "requestReason", "requestTimeout",
        "resourceManagerCustomEndpoint", "scopes", "serviceUsageCustomEndpoint", "skipRegionValidation", "storageCustomEndpoint",
        "universeDomain", "userProjectOverride", "zone",
    ),
    "kubernetes": (
        "clusterIdentifier", "deleteUnreachable", "enableConfigMapMutable", "enableReplaceCRD", "enableSecretMutable",
        "enableServerSideApply", "helmReleaseSettings", "kubeClientSettings", "kubeconfig", "namespace", "skipUpdateUnreachable",
        "strictMode", "suppressDeprecationWarnings", "suppressHelmHookWarnings",
    ),
    "pulumi": ("autonaming", "disable-default-providers", "tags"),
}  # fmt: skip
"""From the SDKs' config modules: pulumi-aws 7.51, pulumi-gcp 10.2 (and any `gcp:*CustomEndpoint`), pulumi-kubernetes 4.34."""
SECRETS: Final = frozenset({
    "aws:accessKey", "aws:secretKey", "aws:token", "docker:keyMaterial", "docker:registryAuth", "docker-build:registries",
    "gcp:accessToken", "gcp:credentials", "kubernetes:kubeconfig",
})  # fmt: skip
"""Provider keys that hold credentials."""

_LOOPBACK: Final = re.compile(r"^(127(\.[0-9]{1,3}){3}|localhost|::1)$")


def known(namespace: str, key: str) -> bool:
    """Does the provider read `key`?"""
    return key in KEYS[namespace] or (namespace == "gcp" and key.endswith("CustomEndpoint"))


def on_loopback(url: str) -> bool:
    """Is `url` an http(s) address of this machine only?"""
    try:
        parts = urlsplit(url)
        return (
            parts.scheme in {"http", "https"}
            and bool(_LOOPBACK.match(parts.hostname or ""))
            and parts.port is not None
        )
    except ValueError:
        return False
