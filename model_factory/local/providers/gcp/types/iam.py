"""Service accounts, and members of the policies of projects, accounts, repositories, buckets and keys."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from model_factory.local.discovery import Json
from model_factory.local.providers.base import Call, ResourceType, Update, inputs_still_there
from model_factory.local.providers.errors import CloudError, Failure, NotFoundError
from model_factory.local.providers.gcp import checks
from model_factory.local.providers.gcp.declare import OURS, Api, changed, declare, rules_of
from model_factory.local.providers.gcp.session import Body, Gcp, creating
from model_factory.local.providers.gcp.shapes import Field, outputs, same, unknown_properties
from model_factory.local.providers.values import mapping, text
from model_factory.local.wire import Properties

_ACCOUNT: Final = Api(
    methods="iam.projects.serviceAccounts",
    schema="ServiceAccount",
    shape=(
        *same("displayName", "description", "disabled"),
        *outputs("email", "name", "uniqueId"),
        Field("project", "projectId", output=True),
    ),
    id_template="projects/{project}/serviceAccounts/{accountId}",
    parameters=lambda object_id: {"name": object_id},
    parent=lambda parts: {"name": f"projects/{parts['project']}"},
    ours=frozenset({"createIgnoreAlreadyExists"}),
    asynchronous=False,
)


def _account_id(call: Call[Gcp], inputs: Properties) -> str:
    project = text(inputs, "project") or call.cloud.config.project
    return f"projects/{project}/serviceAccounts/{text(inputs, 'accountId')}@{project}.iam.gserviceaccount.com"


def _create_account(call: Call[Gcp], inputs: Properties) -> str:
    object_id = _account_id(call, inputs)
    account = {key: inputs[key] for key in ("displayName", "description") if inputs.get(key)}
    body: Body = {"accountId": inputs["accountId"], "serviceAccount": account}
    parent = object_id.partition("/serviceAccounts/")[0]
    try:
        creating(
            call,
            object_id,
            lambda: call.cloud.call("iam.projects.serviceAccounts.create", name=parent, body=body),
        )
    except CloudError as error:
        if error.status != 409 or not inputs.get("createIgnoreAlreadyExists"):
            raise
    if inputs.get("disabled"):
        call.cloud.call("iam.projects.serviceAccounts.disable", name=object_id, body={})
    return object_id


def _update_account(call: Call[Gcp], change: Update) -> None:
    names = [name for name in ("displayName", "description") if changed(change, name)]
    if names:
        account: Body = {name: change.new.get(name, "") for name in names}
        body = {"serviceAccount": account, "updateMask": ",".join(names)}
        call.cloud.call("iam.projects.serviceAccounts.patch", name=change.id, body=body)
    if changed(change, "disabled"):
        verb = "disable" if change.new.get("disabled") else "enable"
        call.cloud.call(f"iam.projects.serviceAccounts.{verb}", name=change.id, body={})


def _complete_account(_call: Call[Gcp], _id: str, _inputs: Properties, found: Properties, _body: Body) -> Properties:
    email = text(found, "email")
    return {
        **found,
        "accountId": email.partition("@")[0],
        "member": f"serviceAccount:{email}",
        "disabled": bool(found.get("disabled")),
    }


_DECLARED: Final = declare(
    "gcp:serviceaccount/account:Account",
    _ACCOUNT,
    create=_create_account,
    update=_update_account,
    complete=_complete_account,
    check=(
        checks.pattern(
            "accountId",
            checks.ACCOUNT_ID,
            "use 6 to 30 lowercase letters, digits and hyphens, a letter first",
        ),
    ),
)


def _find_account(call: Call[Gcp], inputs: Properties) -> str | None:
    object_id = _account_id(call, inputs)
    return object_id if _DECLARED.read(call, object_id, inputs) is not None else None


ACCOUNT: Final = dataclasses.replace(_DECLARED, find=_find_account)


@dataclass(frozen=True, slots=True)
class Policy:
    """Whose policy a member type changes. `name` gives the resource's id from inputs; get and set name the calls."""

    token: str
    properties: tuple[str, ...]
    name: Callable[[Gcp, Mapping[str, Json]], str]
    get: str
    set: str
    parameter: str = "resource"
    get_body: bool = False
    bare: bool = False
    """Whether the request is the policy itself, as in Cloud Storage."""

    @property
    def version_option(self) -> Body:
        """How a read asks for conditions too."""
        if self.get_body:
            return {"body": {"options": {"requestedPolicyVersion": 3}}}
        return {"optionsRequestedPolicyVersion" if self.bare else "options_requestedPolicyVersion": 3}


def _project(cloud: Gcp, inputs: Mapping[str, Json]) -> str:
    return text(inputs, "project") or cloud.config.project


def _repository(cloud: Gcp, inputs: Mapping[str, Json]) -> str:
    name = text(inputs, "repository")
    if "/" in name:
        return name
    return f"projects/{_project(cloud, inputs)}/locations/{text(inputs, 'location') or cloud.config.region}/repositories/{name}"


def _crypto_key(cloud: Gcp, inputs: Mapping[str, Json]) -> str:
    key = text(inputs, "cryptoKeyId")
    if key.startswith("projects/"):
        return key
    parts = key.split("/")
    if len(parts) == 3:
        parts = [cloud.config.project, *parts]
    return "projects/{}/locations/{}/keyRings/{}/cryptoKeys/{}".format(*parts)


POLICIES: Final = (
    Policy(
        "gcp:projects/iAMMember:IAMMember", ("project",), _project,
        "cloudresourcemanager.projects.getIamPolicy", "cloudresourcemanager.projects.setIamPolicy", get_body=True,
    ),
    Policy(
        "gcp:serviceaccount/iAMMember:IAMMember", ("serviceAccountId",), lambda _cloud, inputs: text(inputs, "serviceAccountId"),
        "iam.projects.serviceAccounts.getIamPolicy", "iam.projects.serviceAccounts.setIamPolicy",
    ),
    Policy(
        "gcp:artifactregistry/repositoryIamMember:RepositoryIamMember", ("project", "location", "repository"), _repository,
        "artifactregistry.projects.locations.repositories.getIamPolicy",
        "artifactregistry.projects.locations.repositories.setIamPolicy",
    ),
    Policy(
        "gcp:storage/bucketIAMMember:BucketIAMMember", ("bucket",),
        lambda _cloud, inputs: text(inputs, "bucket").removeprefix("b/"),
        "storage.buckets.getIamPolicy", "storage.buckets.setIamPolicy", parameter="bucket", bare=True,
    ),
    Policy(
        "gcp:kms/cryptoKeyIAMMember:CryptoKeyIAMMember", ("cryptoKeyId",), _crypto_key,
        "cloudkms.projects.locations.keyRings.cryptoKeys.getIamPolicy",
        "cloudkms.projects.locations.keyRings.cryptoKeys.setIamPolicy",
    ),
)  # fmt: skip


def member_type(policy: Policy) -> ResourceType[Gcp]:
    """One member of one role (under one condition) of a policy. It leaves the policy's other members alone."""
    shape = (
        *same(*policy.properties, "role", "member"),
        Field("condition", fields=same("title", "description", "expression")),
    )

    def fetch(call: Call[Gcp], name: str) -> Body:
        return call.cloud.call(policy.get, **{policy.parameter: name}, **policy.version_option)

    def binding_of(found: Body, inputs: Mapping[str, Json]) -> Body | None:
        for binding in found.get("bindings", []):
            same_condition = (binding.get("condition") or {}) == mapping(inputs, "condition")
            if binding.get("role") == inputs["role"] and same_condition:
                return binding
        return None

    def change(call: Call[Gcp], inputs: Properties, *, present: bool) -> Body:
        name = policy.name(call.cloud, inputs)
        with call.cloud.exclusive(f"{policy.token} {name}"):

            def attempt() -> Body | None:
                found = fetch(call, name)
                bindings: list[Body] = found.setdefault("bindings", [])
                binding = binding_of(found, inputs)
                if binding is None and present:
                    binding = new_binding(inputs)
                    bindings.append(binding)
                members: list[Json] = binding["members"] if binding else []
                member = text(inputs, "member")
                if binding is None or (member in members) == present:
                    return found
                binding["members"] = [*members, member] if present else [m for m in members if m != member]
                found["bindings"] = [b for b in bindings if b["members"]]
                if any("condition" in b for b in found["bindings"]):
                    found["version"] = 3
                written = {key: found[key] for key in ("bindings", "etag", "version") if key in found}
                try:
                    return call.cloud.call(
                        policy.set,
                        **{policy.parameter: name},
                        body=written if policy.bare else {"policy": written},
                    )
                except CloudError as error:
                    if error.status == 409:
                        return None
                    raise

            return call.wait(attempt, what=f"{policy.set} of {name} (others change the policy)")

    def id_for(cloud: Gcp, inputs: Mapping[str, Json]) -> str:
        name = policy.name(cloud, inputs)
        parts = [f"b/{name}" if policy.bare else name, text(inputs, "role"), text(inputs, "member")]
        title = text(mapping(inputs, "condition"), "title")
        return "/".join([*parts, title] if title else parts)

    def create(call: Call[Gcp], inputs: Properties) -> str:
        object_id = id_for(call.cloud, inputs)
        creating(call, object_id, lambda: change(call, inputs, present=True))
        return object_id

    def read(call: Call[Gcp], object_id: str, inputs: Properties) -> Properties | None:
        if "role" not in inputs:
            inputs = _from_id(policy, object_id)
        try:
            found = fetch(call, policy.name(call.cloud, inputs))
        except NotFoundError:
            return None
        binding = binding_of(found, inputs)
        if binding is None or inputs["member"] not in binding["members"]:
            return None
        known = {key: value for key, value in inputs.items() if key in {f.name for f in shape}}
        if "project" in policy.properties:
            known["project"] = _project(call.cloud, inputs)
        return {**known, "etag": found.get("etag", "")}

    def delete(call: Call[Gcp], _id: str, state: Properties) -> None:
        change(call, state, present=False)

    def find(call: Call[Gcp], inputs: Properties) -> str | None:
        return id_for(call.cloud, inputs) if read(call, "", inputs) is not None else None

    def check(_cloud: Gcp, inputs: Properties) -> Iterable[Failure]:
        known = {key: value for key, value in inputs.items() if key not in OURS}
        yield from unknown_properties(shape, known, policy.token)
        yield from _MEMBER(_cloud, inputs)
        yield from _ROLE(_cloud, inputs)
        yield from checks.limits(policy.token)(_cloud, inputs)

    return ResourceType[Gcp](
        token=policy.token, create=create, read=read, delete=delete, find=find, repeatable=True, check=check, inputs_of=inputs_still_there,
        rules=rules_of(policy.token, None),
    )  # fmt: skip


def new_binding(inputs: Properties) -> Body:
    """A binding of the inputs' role, without members."""
    condition = mapping(inputs, "condition")
    return {"role": inputs["role"], "members": [], **({"condition": condition} if condition else {})}


def _from_id(policy: Policy, object_id: str) -> Properties:
    head, _, member = object_id.rpartition("/")
    resource, _, role = head.partition("/roles/")
    return {policy.properties[-1]: resource, "role": f"roles/{role}", "member": member}


_MEMBER: Final = checks.pattern(
    "member",
    checks.MEMBER,
    "give it a type, such as serviceAccount:name@project.iam.gserviceaccount.com, user:… or group:…",
)
_ROLE: Final = checks.pattern(
    "role", checks.ROLE, "use roles/<name>, or projects/<project>/roles/<name> for a custom role"
)
MEMBERS: Final = tuple(member_type(policy) for policy in POLICIES)
TYPES: Final = (ACCOUNT, *MEMBERS)
