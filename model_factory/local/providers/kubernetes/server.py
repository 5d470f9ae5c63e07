"""Objects in a cluster, by its API server: server-side apply, waiting with reasons, deletion that is over when the object is gone."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final, TypeVar, cast

from model_factory.access.client import Answer, ClusterClient
from model_factory.access.errors import ApiError, KubeconfigError, NoKindError, UnreachableError
from model_factory.local.clouds.kubernetes.cluster import Reference
from model_factory.local.clouds.kubernetes.kinds import is_namespaced
from model_factory.local.providers.base import FIRST_WAIT_SECONDS, Call
from model_factory.local.providers.errors import (
    AnswerLostError,
    BusyError,
    CancelledError,
    CloudError,
    ConfigurationError,
    NotFoundError,
    OutcomeUnknownError,
    WaitError,
    kind_of,
)
from model_factory.local.providers.kubernetes import options, readiness
from model_factory.local.providers.kubernetes.causes import CAUSES
from model_factory.local.providers.kubernetes.objects import object_id, pruned
from model_factory.local.providers.kubernetes.ownership import managers, taken_over, without_ignored
from model_factory.local.providers.kubernetes.readiness import Verdict
from model_factory.local.providers.kubernetes.readiness.verdict import at, condition, told
from model_factory.local.providers.kubernetes.store import FORGET_VARIABLE, UNREACHABLE, Kind, Manner, Object
from model_factory.local.providers.kubernetes.tokens import is_published, served_kind
from model_factory.local.providers.retries import log

R = TypeVar("R")
LONGEST_LOOK_SECONDS: Final = 1.0
_QUIET_SECONDS: Final = 10.0
_TAKE_OVERS: Final = 5
# What is wrong with an object itself; the rest may be otherwise by the time that it is written.
_FORETOLD: Final = frozenset({"Invalid", "BadRequest"})
_CRD: Final = "CustomResourceDefinition"
# The API server words what no schema has so where it applies an object, and as Invalid elsewhere.
_NO_FIELD: Final = "field not declared in schema"
_QUOTA: Final = "exceeded quota"


def server_store(kubeconfig: str, context: str) -> ServerStore:
    """Of a kubeconfig's context; nothing is asked yet. Raises ConfigurationError."""
    try:
        return ServerStore(ClusterClient.of(kubeconfig, context))
    except KubeconfigError as error:
        raise ConfigurationError(f"kubernetes provider: {error}") from error


class ServerStore:
    """A `Store` of all kinds that the cluster serves."""

    def __init__(self, client: ClusterClient) -> None:
        self._client = client

    @property
    def name(self) -> str:
        return f"kubernetes cluster {self._client.access.context or self._client.server}"

    @property
    def namespace(self) -> str:
        return self._client.access.namespace

    @property
    def fills_in(self) -> tuple[str, ...]:
        return ("name", "uid", "creationTimestamp", "resourceVersion", "generation")

    @property
    def keeps_releases(self) -> bool:
        return True

    def kind(self, token: str) -> Kind:
        return served_kind(token)

    def is_namespaced(self, kind: Kind) -> bool:
        """Of a kind that is not there yet it is assumed, as pulumi-kubernetes does."""
        if is_published(kind):
            return is_namespaced(kind.name)
        try:
            return self._asked(lambda: self._client.kind(kind.api_version, kind.name)).is_namespaced
        except NotFoundError:
            return True

    def name_fault(self, metadata: Mapping[str, Any]) -> str:
        del metadata
        return ""

    def foresee(self, obj: Object, manner: Manner, *, is_new: bool) -> None:
        """By the server's dry run."""
        if manner.is_patch:
            return
        try:
            if is_new and not manner.upsert:
                self._client.create(obj, manager=manner.manager, dry_run=True)
            else:
                # Fields of others are told by the write itself, after those that were set by hand are taken over.
                self._client.apply(obj, manager=manner.manager, force=True, dry_run=True)
        except ApiError as error:
            if error.reason in _FORETOLD or _NO_FIELD in error.message:
                raise self._refusal(error) from error

    def create(self, call: Call[Any], obj: Object, manner: Manner) -> Object:
        if manner.upsert or manner.is_patch:
            force = options.is_forced(obj)
            return self._kept(obj, lambda: self._client.apply(obj, manager=manner.manager, force=force))
        try:
            # What it stands on (a namespace, the definition of its kind) may have been made a moment ago.
            made = call.visible(lambda: self._made(obj, manner.manager))
        except AnswerLostError as error:
            return self._found_or_made(obj, manner, error)
        return cast("Object", made)

    def update(self, call: Call[Any], obj: Object, manner: Manner) -> Object:
        obj = self._placed(obj)
        reference = Reference.of(obj)
        live = self.read(reference)
        if live is None:
            return self._kept(obj, lambda: self._client.apply(obj, manager=manner.manager))
        if reference.kind == _CRD:
            # As kubectl replace: its objects stay, and no version is left behind.
            metadata = {**obj["metadata"], "resourceVersion": at(live, "metadata.resourceVersion")}
            whole = {**obj, "metadata": metadata}
            return self._kept(obj, lambda: self._client.replace(whole, manager=manner.manager))
        if not manner.is_patch:
            live = self._take_over(call, reference, live, obj, manner.manager)
        applied = without_ignored(obj, live, manner.manager, manner.ignored)
        force = options.is_forced(obj)
        return self._kept(obj, lambda: self._client.apply(applied, manager=manner.manager, force=force))

    def read(self, reference: Reference) -> Object | None:
        try:
            return self._asked(
                lambda: self._client.get(
                    reference.api_version, reference.kind, reference.name, namespace=reference.namespace
                )
            )
        except NotFoundError:
            return None  # its kind is gone, and all its objects with it

    def ready(self, call: Call[Any], inputs: Object, live: Object) -> Object:
        if options.skips_await(inputs):
            return live
        reference = Reference.of(live)
        pause = FIRST_WAIT_SECONDS
        said, say_at = "", time.monotonic() + _QUIET_SECONDS
        verdict = self._judged(inputs, live)
        # What stood there before this run is no answer to it: a rollout that stuck goes on once there is room.
        known = verdict.failed if verdict.may_recover else ""
        while True:
            if verdict.is_ready:
                return live
            if verdict.failed and verdict.failed != known:
                raise WaitError(self._why(f"{reference}: {verdict.failed}", live))
            left = call.deadline - time.monotonic()
            if left <= 0:
                raise WaitError(
                    self._why(f"{reference} is not ready within the time-out: {verdict.waits_for}", live)
                    + "\nraise customTimeouts where it only needs longer"
                )
            if time.monotonic() >= say_at:
                why = self._why(f"{reference} is not ready yet: {verdict.waits_for}", live)
                if why != said:
                    log.info("%s", why)
                said, say_at = why, time.monotonic() + _QUIET_SECONDS
            if call.cancelled.wait(min(pause, left)):
                raise CancelledError(
                    self._why(f"{reference}: cancelled while waiting, it is not ready: {verdict.waits_for}", live)
                )
            pause = min(pause * 1.5, LONGEST_LOOK_SECONDS)
            found = self.read(reference)
            if found is None:
                raise WaitError(f"{reference} was deleted while it was waited for; run again to create it anew")
            live = found
            verdict = self._judged(inputs, live)

    def not_ready(self, inputs: Object, live: Object) -> str:
        if options.skips_await(inputs):
            return ""
        verdict = self._judged(inputs, live)
        if verdict.is_ready:
            return ""
        return self._why(f"{Reference.of(live)}: {verdict.failed or verdict.waits_for}", live)

    def delete(self, call: Call[Any], reference: Reference, inputs: Object, manner: Manner) -> None:
        live = self.read(reference)
        if live is None:
            return
        if manner.is_patch:
            self._let_go(reference, manner.manager)
            return
        uid = str(at(live, "metadata.uid", ""))
        if not at(live, "metadata.deletionTimestamp"):
            with suppress(NotFoundError):
                self._asked(lambda: self._client.delete(
                    reference.api_version, reference.kind, reference.name, namespace=reference.namespace,
                    propagation=options.propagation(inputs), uid=uid,
                ))  # fmt: skip
        pause = FIRST_WAIT_SECONDS
        while (live := self.read(reference)) is not None and at(live, "metadata.uid") == uid:
            left = call.deadline - time.monotonic()
            if left <= 0:
                raise WaitError(f"{reference} is still being deleted after the time-out{_what_keeps(live)}")
            if call.cancelled.wait(min(pause, left)):
                raise CancelledError(f"{reference}: cancelled while it is being deleted{_what_keeps(live)}")
            pause = min(pause * 1.5, LONGEST_LOOK_SECONDS)

    def left_behind(self, obj: Object, manner: Manner, known: Collection[str]) -> Reference | None:
        """The object of that name (or that began with it), if this URN's field manager made it."""
        wanted = Reference.of(obj)
        if wanted.name:
            found: Iterable[Object | None] = [self.read(wanted)]
        else:
            prefix = str(at(obj, "metadata.generateName", ""))
            listed = self._asked(lambda: self._client.list(wanted.api_version, wanted.kind, namespace=wanted.namespace))
            found = [each for each in listed if Reference.of(each).name.startswith(prefix)]
        for each in found:
            if each is not None and _is_made_by(manner.manager, each, obj):
                reference = Reference.of(each)
                if object_id(reference) not in known:
                    return reference
        return None

    # `Look`, for the reasons

    def list(
        self, api_version: str, kind: str, *, namespace: str = "", labels: str = "", fields: str = ""
    ) -> Iterable[Object]:
        return self._client.list(api_version, kind, namespace=namespace, labels=labels, fields=fields)

    def get(self, api_version: str, kind: str, name: str, *, namespace: str = "") -> Object | None:
        return self._client.get(api_version, kind, name, namespace=namespace)

    def last_line(self, pod: str, container: str, *, namespace: str) -> str:
        for previous in (True, False):
            with suppress(ApiError):
                lines = self._client.logs(
                    pod, namespace=namespace, container=container, previous=previous, tail_lines=1
                )
                if said := "".join(lines).strip():
                    return said
        return ""

    # Private

    def _judged(self, inputs: Object, live: Object) -> Verdict:
        awaited = options.awaited_condition(inputs)
        if awaited is not None:
            type_, status = awaited
            is_so = condition(live, type_).get("status") == status
            return Verdict(is_ready=is_so, waits_for=f"its condition {type_} to be {status}")
        return self._asked(lambda: readiness.readiness_of(live).judge(live, self))

    def _why(self, told_: str, live: Object) -> str:
        """With all that the cluster says of the causes; what cannot be asked is left out, as the error itself counts more."""
        reasons: list[str] = []
        with suppress(ApiError):
            reasons += readiness.readiness_of(live).troubles(live, self)
        return "\n  ".join((told_, *reasons))

    def _take_over(self, call: Call[Any], reference: Reference, live: Object, obj: Object, manager: str) -> Object:
        for _ in range(_TAKE_OVERS):
            entries = taken_over(live, obj, manager)
            if entries is None:
                return live
            # Said of this very state of the object, or not at all.
            version = at(live, "metadata.resourceVersion")
            patch = [
                {"op": "replace", "path": "/metadata/managedFields", "value": entries},
                {"op": "replace", "path": "/metadata/resourceVersion", "value": version},
            ]
            with suppress(ApiError):
                return self._client.patch(
                    reference.api_version, reference.kind, reference.name, patch,
                    namespace=reference.namespace, type="json",
                ).object  # fmt: skip
            call.cancelled.wait(FIRST_WAIT_SECONDS)
            live = self.read(reference) or live
        return live

    def _let_go(self, reference: Reference, manager: str) -> None:
        """Apply nothing: what this manager alone set goes, what others set too stays."""
        metadata = {"name": reference.name} | ({"namespace": reference.namespace} if reference.namespace else {})
        empty = {"apiVersion": reference.api_version, "kind": reference.kind, "metadata": metadata}
        self._asked(lambda: self._client.apply(empty, manager=manager))

    def _found_or_made(self, obj: Object, manner: Manner, lost: AnswerLostError) -> Object:
        """After a create without an answer: the object that it made; else a second one, which its name keeps from being two."""
        log.info("%s; looking for what it made", str(lost))
        try:
            reference = self.left_behind(obj, manner, ())
            found = self.read(reference) if reference is not None else None
            if found is not None:
                return found
            if not Reference.of(obj).name:
                raise OutcomeUnknownError(f"{lost}; run again, which looks once more before it creates") from lost
            return self._made(obj, manner.manager)
        except (AnswerLostError, BusyError) as error:
            raise OutcomeUnknownError(f"{lost}; and looking for what it made: {error}") from error

    def _made(self, obj: Object, manager: str) -> Object:
        placed = self._placed(obj)
        return self._kept(placed, lambda: self._client.create(placed, manager=manager))

    def _placed(self, obj: Object) -> Object:
        """Without the namespace that an object got while its kind was not there yet, where the kind has none."""
        metadata: Object = obj["metadata"]
        kind = Kind(str(obj["apiVersion"]), str(obj["kind"]))
        if "namespace" not in metadata or self.is_namespaced(kind):
            return obj
        return {**obj, "metadata": {key: value for key, value in metadata.items() if key != "namespace"}}

    def _kept(self, obj: Object, write: Callable[[], Answer]) -> Object:
        answer = self._asked(write)
        for warning in answer.warnings:
            log.warning("%s: %s says: %s", Reference.of(obj), self.name, warning)
        return answer.object

    def _asked(self, call: Callable[[], R]) -> R:
        try:
            return call()
        except ApiError as error:
            raise self._refusal(error) from error
        except KubeconfigError as error:
            raise ConfigurationError(str(error)) from error

    def _refusal(self, error: ApiError) -> CloudError:
        reason, status, message = error.reason, error.status, error.message
        if _NO_FIELD in message:
            reason, status = "Invalid", 422
        if reason == "Conflict" and any(cause.reason == "FieldManagerConflict" for cause in error.causes):
            message = _conflict(error)
        if reason == "AlreadyExists":
            message += (
                "; import it, give this resource another name, or let the provider take over what is there "
                "(upsertExistingObjects)"
            )
        quota = ("QuotaExceeded",) if _QUOTA in message else ()
        found: type[CloudError]
        if isinstance(error, UnreachableError):
            found = AnswerLostError if error.sent else BusyError
            reason = UNREACHABLE
            message += f"; {FORGET_VARIABLE}=true takes for gone what is in a cluster that is gone for good"
        else:
            cause = CAUSES.cause((*quota, reason), status)
            gone = isinstance(error, NoKindError) or status == 404
            found = kind_of(cause, status, gone=gone)
        return found(
            cloud=self.name, operation=error.operation, code=reason, message=message, status=status, causes=CAUSES,
            reasons=quota,
        )  # fmt: skip


def _is_made_by(manager: str, found: Object, obj: Object) -> bool:
    """Of an object that has a name alone nobody is recorded to have set anything: then what it is has to do."""
    known = managers(found)
    return manager in known or (not known and pruned(found, obj) == obj)


def _conflict(error: ApiError) -> str:
    owners = "; ".join(f"{cause.field.lstrip('.')}: {cause.message}" for cause in error.causes)
    return (
        f"others set fields that the stack sets too: {owners}. Leave the field out of the stack where it is theirs to set; or take it, with "
        f'the annotation {options.FORCE}: "true" on the object, or {options.FORCE_VARIABLE}=true for all'
    )


def _what_keeps(live: Mapping[str, Any]) -> str:
    """Whatever an object that does not go waits for."""
    found = [f"finalizer {each}" for each in at(live, "metadata.finalizers", ())]
    if live.get("kind") == "Namespace":
        found += [f"finalizer {each}" for each in at(live, "spec.finalizers", ()) if each != "kubernetes"]
    found += [
        told(each)
        for each in at(live, "status.conditions", ())
        if each.get("status") == "True" and str(each.get("type", "")).startswith("Namespace")
    ]
    return f"; it waits for {', '.join(found)}" if found else ""
