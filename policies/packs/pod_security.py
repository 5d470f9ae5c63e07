"""What a Pod may do to its node, to the cluster, and with secrets."""

from __future__ import annotations

from collections.abc import Iterable

from model_factory.graph.declared import matches
from model_factory.graph.pods import PODS, PODS_AND_PATCHES, pod_spec
from model_factory.graph.values import at, listed, mapping
from policies.authoring.checks import CRITICAL, HIGH, MEDIUM, number, texts
from policies.authoring.containers import Container
from policies.authoring.drafts import Draft, is_unknown, revealed
from policies.authoring.references import cis, nsa_cisa
from policies.authoring.resources import Report, Resource, shown
from policies.authoring.theme import Theme

theme = Theme("kubernetes", "pod-security")

CONTEXT_PAGE = "https://kubernetes.io/docs/tasks/configure-pod-container/security-context/"
STANDARDS_PAGE = "https://kubernetes.io/docs/concepts/security/pod-security-standards/"
ACCOUNTS_PAGE = "https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/"
SECRETS_PAGE = "https://kubernetes.io/docs/concepts/security/secrets-good-practices/"
# checkov counts each namespace as a check of its own.
HOST_NAMESPACES = ("hostPID", "hostIPC", "hostNetwork")
# Names that tell where a secret is, not what it is.
POINTERS = ("*_FILE", "*_PATH", "*_DIR", "*_NAME", "*_ARN", "*_URI", "*_URL", "*_ID")


def _be_somebody(draft: Draft) -> None:
    pod = draft.pod
    if pod is None:
        return
    user = int(draft.config["user"])
    context = draft.child(pod, "securityContext", create=True)
    if context is not None:
        draft.put(context, "runAsNonRoot", True)
        if revealed(context.get("runAsUser")) == 0:
            draft.put(context, "runAsUser", user)
    for container in draft.containers:
        own = draft.child(container, "securityContext")
        if own is not None and "runAsNonRoot" in own:
            draft.put(own, "runAsNonRoot", True)
        if own is not None and revealed(own.get("runAsUser")) == 0:
            draft.put(own, "runAsUser", user)


@theme.container(
    types=PODS,
    severity=HIGH,
    remedy=_be_somebody,
    steps="Set securityContext.runAsNonRoot to true, and runAsUser to the user that the image was made for.",
    reference=cis(
        "5.2.7",
        "Minimize the admission of root containers",
        CONTEXT_PAGE,
        "CKV_K8S_23",
        nsa="Non-root containers",
    ),
    config={"user": number(1000, "The user that a remedied Pod runs as where root was asked for.")},
)
def non_root(container: Container) -> Iterable[str]:
    """Containers run as a user that is not root."""
    if container.context("runAsNonRoot") is not True:
        yield "may run as root: runAsNonRoot is not true"
    if container.context("runAsUser") == 0:
        yield "runs as root: runAsUser is 0"


def _forbid_escalation(draft: Draft) -> None:
    for container in draft.containers:
        context = draft.child(container, "securityContext", create=True)
        # Kubernetes refuses the two together; that a container is privileged is another check's to stop.
        if context is not None and revealed(context.get("privileged")) is not True:
            draft.put(context, "allowPrivilegeEscalation", False)


@theme.container(
    types=PODS,
    severity=HIGH,
    remedy=_forbid_escalation,
    steps="Set securityContext.allowPrivilegeEscalation to false on every container.",
    reference=cis(
        "5.2.6",
        "Minimize the admission of containers with allowPrivilegeEscalation",
        CONTEXT_PAGE,
        "CKV_K8S_20",
        nsa="Pod security enforcement",
    ),
)
def no_privilege_escalation(container: Container) -> Iterable[str]:
    """Processes in containers cannot gain privileges."""
    if at(container.props, "securityContext", "allowPrivilegeEscalation") is not False:
        yield "may gain privileges: allowPrivilegeEscalation is not false"


@theme.container(
    types=PODS_AND_PATCHES,
    severity=CRITICAL,
    steps="Remove securityContext.privileged; give the one capability, device or volume that is needed. GPUs need neither: "
    "ask for nvidia.com/gpu.",
    reference=cis(
        "5.2.2",
        "Minimize the admission of privileged containers",
        STANDARDS_PAGE,
        "CKV_K8S_16",
        nsa="Pod security enforcement",
    ),
)
def no_privileged(container: Container) -> Iterable[str]:
    """No container is privileged."""
    if at(container.props, "securityContext", "privileged") is True:
        yield "is privileged: it owns its node"
    if container.context("windowsOptions", "hostProcess") is True:
        yield "is a HostProcess container: it owns its node"


def _drop_capabilities(draft: Draft) -> None:
    for container in draft.containers:
        context = draft.child(container, "securityContext", create=True)
        capabilities = draft.child(context, "capabilities", create=True)
        if capabilities is None:
            continue
        if "ALL" not in draft.texts(capabilities, "drop"):
            draft.put(capabilities, "drop", ["ALL"])
        added = draft.texts(capabilities, "add")
        if added:
            # What is not known yet is left for the check to find.
            kept = [each for each in added if each in draft.config["allowed"] or is_unknown(each)]
            draft.put(capabilities, "add", kept)


@theme.container(
    types=PODS,
    severity=MEDIUM,
    remedy=_drop_capabilities,
    steps="Set securityContext.capabilities.drop to [ALL] on every container, and remove what is added.",
    reference=cis(
        "5.2.9",
        "Minimize the admission of containers with capabilities assigned",
        STANDARDS_PAGE,
        "CKV_K8S_37",
        nsa="Pod security enforcement",
    ),
    config={"allowed": texts(["NET_BIND_SERVICE"], "Capabilities that may be added.")},
)
def drop_capabilities(container: Container) -> Iterable[str]:
    """Containers drop all capabilities, and add none but those allowed."""
    capabilities = mapping(at(container.props, "securityContext", "capabilities"))
    if "ALL" not in [str(each).upper() for each in listed(at(capabilities, "drop"))]:
        yield "keeps the capabilities its runtime gives: drop does not name ALL"
    for each in listed(at(capabilities, "add")):
        if each not in container.resource.config["allowed"]:
            yield f"adds the capability {each}"


@theme.container(
    types=PODS,
    severity=MEDIUM,
    steps="Set securityContext.readOnlyRootFilesystem to true, and mount an emptyDir where the server writes.",
    reference=nsa_cisa("Kubernetes Pod security", "Immutable container file systems", CONTEXT_PAGE, "CKV_K8S_22"),
)
def read_only_root(container: Container) -> Iterable[str]:
    """Containers cannot change their own file system."""
    if at(container.props, "securityContext", "readOnlyRootFilesystem") is not True:
        yield "can change its own image: readOnlyRootFilesystem is not true"


def _confine(draft: Draft) -> None:
    pod = draft.pod
    if pod is None:
        return
    contexts = [draft.child(pod, "securityContext", create=True)]
    contexts += [draft.child(each, "securityContext") for each in draft.containers]
    for index, context in enumerate(contexts):
        if context is None or (index > 0 and "seccompProfile" not in context):
            continue
        profile = draft.child(context, "seccompProfile", create=True)
        if profile is not None and revealed(profile.get("type")) not in ("RuntimeDefault", "Localhost"):
            draft.put(profile, "type", "RuntimeDefault")


@theme.container(
    types=PODS,
    severity=MEDIUM,
    remedy=_confine,
    steps="Set securityContext.seccompProfile.type to RuntimeDefault on the Pod.",
    reference=cis(
        "5.6.2",
        "Ensure that the seccomp profile is set to docker/default in your Pod definitions",
        "https://kubernetes.io/docs/tutorials/security/seccomp/",
        "CKV_K8S_31",
        nsa="Hardening container environments",
    ),
)
def seccomp(container: Container) -> Iterable[str]:
    """System calls are confined by a seccomp profile."""
    profile = at(container.context("seccompProfile"), "type")
    if profile not in ("RuntimeDefault", "Localhost"):
        yield f"may make any system call: its seccomp profile is {profile or 'not set'}"


@theme.resource(
    types=PODS_AND_PATCHES,
    severity=CRITICAL,
    steps="Remove hostPID, hostIPC and hostNetwork; use a Service to be reached.",
    reference=cis(
        "5.2.3",
        "Minimize the admission of containers wishing to share the host's namespaces (5.2.3 to 5.2.5)",
        STANDARDS_PAGE,
        "CKV_K8S_17",
        "CKV_K8S_18",
        "CKV_K8S_19",
        nsa="Pod security enforcement",
    ),
)
def no_host_namespaces(resource: Resource, report: Report) -> None:
    """Pods do not share processes, memory or network with their node."""
    for key in HOST_NAMESPACES:
        with report.guard():
            if at(pod_spec(resource), key) is True:
                report(f"{key} is true: the Pod sees what is the node's")


@theme.resource(
    types=(
        *PODS_AND_PATCHES,
        "kubernetes:core/*:PersistentVolume",
        "kubernetes:core/*:PersistentVolumePatch",
    ),
    severity=HIGH,
    steps="Use an emptyDir for scratch, a PersistentVolumeClaim or a CSI volume for what lasts.",
    reference=cis(
        "5.2.11",
        "Minimize the admission of HostPath volumes",
        "https://kubernetes.io/docs/concepts/storage/volumes/#hostpath",
        nsa="Pod security enforcement",
    ),
)
def no_hostpath(resource: Resource, report: Report) -> None:
    """No volume is a folder of the node."""
    if resource.is_("kubernetes:core/*:PersistentVolume*"):
        if at(resource.props, "spec", "hostPath") is not None:
            report(f"the volume is a folder of the node: {at(resource.props, 'spec', 'hostPath', 'path')}")
        return
    for volume in report.items(pod_spec(resource), "volumes"):
        with report.guard():
            if at(volume, "hostPath") is not None:
                report(f"volume {at(volume, 'name')} is a folder of the node: {at(volume, 'hostPath', 'path')}")


def _no_token(draft: Draft) -> None:
    is_account = matches(draft.type, ("kubernetes:core/*:ServiceAccount",))
    holder = draft.props if is_account else draft.pod
    if holder is not None:
        draft.put(holder, "automountServiceAccountToken", False)


@theme.resource(
    types=(*PODS, "kubernetes:core/*:ServiceAccount"),
    severity=MEDIUM,
    remedy=_no_token,
    steps="Set automountServiceAccountToken to false on the Pod and on its ServiceAccount; exempt controllers by name. The clouds' "
    "identities come by volumes of their own and do not need it.",
    reference=cis(
        "5.1.6",
        "Ensure that Service Account Tokens are only mounted where necessary",
        ACCOUNTS_PAGE,
        "CKV_K8S_38",
        nsa="Protecting Pod service account tokens",
    ),
)
def no_service_account_token(resource: Resource, report: Report) -> None:
    """Pods get no token for the Kubernetes API unless they use it."""
    is_account = resource.is_("kubernetes:core/*:ServiceAccount")
    holder = resource.props if is_account else pod_spec(resource)
    if at(holder, "automountServiceAccountToken") is not False:
        who = "Pods of this account" if is_account else "the Pod"
        report(f"{who} get a token for the Kubernetes API: automountServiceAccountToken is not false")


@theme.resource(
    types=PODS,
    severity=MEDIUM,
    steps="Make a ServiceAccount for the workload and name it in serviceAccountName.",
    reference=cis(
        "5.1.5",
        "Ensure that default service accounts are not actively used",
        ACCOUNTS_PAGE,
        "CKV_K8S_41",
        nsa="Protecting Pod service account tokens",
    ),
)
def no_default_service_account(resource: Resource, report: Report) -> None:
    """Pods run as a service account of their own."""
    account = at(pod_spec(resource), "serviceAccountName") or at(pod_spec(resource), "serviceAccount")
    if account in (None, "", "default"):
        report("the Pod runs as the namespace's default service account, which every other Pod may share")


@theme.container(
    types=PODS_AND_PATCHES,
    severity=HIGH,
    steps="Mount the secret as a file, read-only, or fetch it with the workload's own identity.",
    reference=cis(
        "5.4.1",
        "Prefer using Secrets as files over Secrets as environment variables",
        SECRETS_PAGE,
        "CKV_K8S_35",
        nsa="Secrets",
    ),
    config={
        "names": texts(
            [
                "*_TOKEN",
                "TOKEN",
                "*PASSWORD*",
                "*PASSWD*",
                "*SECRET*",
                "*API_KEY*",
                "*ACCESS_KEY*",
                "*PRIVATE_KEY*",
                "*CREDENTIAL*",
            ],
            "Names of environment variables, in capitals, that a value in plain text may not have.",
        )
    },
)
def no_secret_in_env(container: Container) -> Iterable[str]:
    """Secrets are not handed over in environment variables."""
    for source in listed(at(container.props, "envFrom")):
        if at(source, "secretRef") is not None:
            yield f"takes all of secret {at(source, 'secretRef', 'name')} as environment variables"
    for variable in listed(at(container.props, "env")):
        name = str(at(variable, "name"))
        secret = at(variable, "valueFrom", "secretKeyRef")
        if secret is not None:
            yield f"takes {name} from secret {at(secret, 'name')} as an environment variable"
        elif _holds_a_secret(name, at(variable, "value"), container.resource.config["names"]):
            # Never its value.
            yield f"has a value in {name}, a name that secrets have"


def _holds_a_secret(name: str, value: object, names: Iterable[str]) -> bool:
    text = shown(value) if value is not None else ""
    if not text or text.startswith("/") or matches(name.upper(), POINTERS):
        return False
    return matches(name.upper(), tuple(names))
