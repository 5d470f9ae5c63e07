"""Why a Pod, or a Deployment that lacks Pods, does not serve: in a few words of what the cluster says. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from model_factory.graph.pods import SERVER_CONTAINER
from model_factory.graph.values import at, listed, mapping

ENDING: Final = "ending"
NO_POD: Final = "no Pod yet"
_WORDS_MOST: Final = 160
_DIGEST: Final = re.compile(r"\b(sha256:[0-9a-f]{12})[0-9a-f]{52}\b")
_COUNTED: Final = re.compile(r"^(\d+) (.*)$")
# What is true of every node of other pools, and says nothing of why none of its own has room.
_ELSEWHERE: Final = re.compile(r"affinity|node selector|untolerated taint|didn't match|unschedulable", re.IGNORECASE)
# kubelet's own wording around what it was told.
_BACK_OFF: Final = re.compile(
    r"^Back-off pulling image \"[^\"]*\":?\s*|^ErrImagePull:\s*|rpc error: code = \w+ desc = "
    r"|failed to (pull and unpack|resolve) (image|reference)( \"[^\"]*\")?:\s*"
)
_STARTING: Final = frozenset({"ContainerCreating", "PodInitializing", ""})
"""Waiting that is no trouble by itself."""


def of_pod(pod: Mapping[str, Any], warnings: Iterable[str] = ()) -> str:
    """Why a Pod is not ready; empty where it is. `warnings`: what events say of it, the newest last."""
    if at(pod, "metadata", "deletionTimestamp"):
        return ENDING
    if _condition(pod, "Ready") == "True":
        return ""
    if (message := _condition_of(pod, "PodScheduled", "False")) is not None:
        return unscheduled(message)
    status = mapping(pod.get("status"))
    if status.get("phase") == "Failed":
        return _words(f"{status.get('reason') or 'failed'}: {status.get('message') or _last_exits(status)}")
    if status.get("phase") == "Succeeded":
        return "ended, and is not started again"
    for each in listed(status.get("initContainerStatuses")):
        if (told := _of_container(each, is_init=True)) is not None:
            return _words(_with_warning(f"init container {at(each, 'name')}: {told}", told, warnings))
    found = [_of_container(each, is_init=False) for each in _server_first(status)]
    told = next((each for each in found if each), None)
    if told is not None:
        return _words(_with_warning(told, told, warnings))
    if not listed(status.get("containerStatuses")):
        return "not scheduled yet" if not at(pod, "spec", "nodeName") else _with_warning("starting", "", warnings)
    return _words(_with_warning("not ready", "", warnings))


def unscheduled(message: str) -> str:
    """`0/5 nodes are available: 2 Insufficient nvidia.com/gpu, 3 node(s) didn't match …. preemption: …` as what matters of it."""
    first = re.split(r"(?<!\d)\. |\.$", message, maxsplit=1)[0]
    _, colon, causes = first.partition(" nodes are available: ")
    if not colon:
        return _words(f"unschedulable: {first}" if first else "unschedulable")
    parts = [part.strip() for part in re.split(r",\s+(?=\d)", causes) if part.strip()]
    here = [part for part in parts if not _ELSEWHERE.search(part)]
    if not here:
        return "unschedulable: no node of its pools is there that takes it"
    return _words(f"unschedulable: {', '.join(map(_on_nodes, here))}")


def of_deployment(deployment: Mapping[str, Any]) -> str:
    """Why a Deployment has fewer Pods than it wants, or gave up; empty where it says nothing."""
    if (message := _condition_of(deployment, "ReplicaFailure", "True")) is not None:
        return _words(f"no Pod is admitted: {message}")
    if _condition_of(deployment, "Progressing", "False") is not None:
        return "the rollout went over its time"
    if mapping(deployment.get("spec")).get("paused"):
        return "the rollout is paused"
    return ""


def of_restarts(pod: Mapping[str, Any]) -> str:
    """How often a Pod that serves was started anew, and how it ended the last time; empty where it never was."""
    for each in _server_first(mapping(pod.get("status"))):
        if count := int(at(each, "restartCount") or 0):
            ended = _ended(mapping(at(each, "lastState", "terminated")))
            return f"restarted {count} {'time' if count == 1 else 'times'}{f', last {ended}' if ended else ''}"
    return ""


def _of_container(status: Any, *, is_init: bool) -> str | None:
    """None where it is as it should be."""
    waiting, running = at(status, "state", "waiting"), at(status, "state", "running")
    if waiting is not None:
        return _waiting(status, mapping(waiting))
    terminated = mapping(at(status, "state", "terminated"))
    if is_init:
        if running is not None:
            return None if at(status, "started") and at(status, "ready") else "running"
        return None if terminated.get("exitCode") == 0 else _ended(terminated) or "waiting"
    if terminated:
        return _ended(terminated)
    if running is not None and not at(status, "ready"):
        return _not_ready(status)
    return None


def _waiting(status: Any, waiting: Mapping[str, Any]) -> str:
    reason, message = str(waiting.get("reason") or ""), str(waiting.get("message") or "")
    if reason in _STARTING:
        return "starting"
    if reason == "CrashLoopBackOff":
        ended = _ended(mapping(at(status, "lastState", "terminated")))
        return f"{reason}, last {ended}" if ended else reason
    while (shorter := _BACK_OFF.sub("", message)) != message:
        message = shorter
    return f"{reason}: {message}" if message else reason


def _not_ready(status: Any) -> str:
    what = "not ready" if at(status, "started") else "loading"
    restarts = int(at(status, "restartCount") or 0)
    ended = _ended(mapping(at(status, "lastState", "terminated")))
    return f"{what}, after {restarts} restarts, last {ended}" if restarts and ended else what


def _ended(terminated: Mapping[str, Any]) -> str:
    """`exit 137 (OOMKilled)`."""
    if "exitCode" not in terminated:
        return ""
    reason = str(terminated.get("reason") or "")
    return f"exit {terminated['exitCode']}{f' ({reason})' if reason not in ('', 'Error', 'Completed') else ''}"


def _last_exits(status: Mapping[str, Any]) -> str:
    ended = (_ended(mapping(at(each, "state", "terminated"))) for each in listed(status.get("containerStatuses")))
    return ", ".join(filter(None, ended)) or "it does not say why"


def _server_first(status: Mapping[str, Any]) -> list[Any]:
    return sorted(listed(status.get("containerStatuses")), key=lambda each: at(each, "name") != SERVER_CONTAINER)


def _with_warning(told: str, state: str, warnings: Iterable[str]) -> str:
    """While nothing but time seems to pass, an event may say what it waits for: a volume, an address."""
    *_, newest = ("", *warnings)
    return (
        f"{told}: {newest}"
        if newest and (state in ("", "starting") or state.startswith(("not ready", "loading")))
        else told
    )


def _on_nodes(part: str) -> str:
    found = _COUNTED.match(part)
    if found is None:
        return part
    count, what = int(found[1]), found[2].removeprefix("node(s) ").strip(".")
    return f"{what} on {count} {'node' if count == 1 else 'nodes'}"


def _condition(obj: Mapping[str, Any], kind: str) -> str:
    found = (each for each in listed(at(obj, "status", "conditions")) if at(each, "type") == kind)
    return str(at(next(found, {}), "status") or "")


def _condition_of(obj: Mapping[str, Any], kind: str, status: str) -> str | None:
    """The message of a condition that stands so; None where it does not."""
    for each in listed(at(obj, "status", "conditions")):
        if at(each, "type") == kind and at(each, "status") == status:
            return str(at(each, "message") or "")
    return None


def _words(text: str) -> str:
    line = _DIGEST.sub(r"\1", " ".join(text.split()))
    return line if len(line) <= _WORDS_MOST else f"{line[: _WORDS_MOST - 1].rstrip()}…"
