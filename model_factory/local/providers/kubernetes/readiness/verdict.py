"""What is said of an object that was written: ready, failed for good, or waited for, with the reasons. Pure but for `Look`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

Object = Mapping[str, Any]


class Look(Protocol):
    """What a reason is found in: the objects around, and what a container wrote last."""

    def list(
        self, api_version: str, kind: str, *, namespace: str = "", labels: str = "", fields: str = ""
    ) -> Iterable[Object]: ...

    def get(self, api_version: str, kind: str, name: str, *, namespace: str = "") -> Object | None: ...

    def last_line(self, pod: str, container: str, *, namespace: str) -> str: ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """`waits_for` says in a few words what is missing; `failed` why it does not come, and `may_recover` whether it can all the same, once
    what it lacks is there."""

    is_ready: bool = False
    failed: str = ""
    waits_for: str = ""
    may_recover: bool = False


READY = Verdict(is_ready=True)

Judge = Callable[[Object, Look], Verdict]
Troubles = Callable[[Object, Look], Iterator[str]]


def no_troubles(_obj: Object, _look: Look) -> Iterator[str]:
    return iter(())


@dataclass(frozen=True, slots=True)
class Readiness:
    """Of one kind: how its objects are judged, and where the reasons are looked up once one is not ready."""

    judge: Judge
    troubles: Troubles = no_troubles


def at(obj: Object, path: str, default: Any = None) -> Any:
    """The value at `status.phase`; the default where it is not there."""
    value: Any = obj
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return default if value is None else value


def condition(obj: Object, type_: str) -> Mapping[str, str]:
    """The condition of that type; empty where there is none."""
    return next((each for each in at(obj, "status.conditions", ()) if each.get("type") == type_), {})


def holds(obj: Object, type_: str) -> bool:
    return condition(obj, type_).get("status") == "True"


def told(found: Mapping[str, Any]) -> str:
    """`Reason: message` of a condition, a container's state or an event."""
    return ": ".join(str(found[key]) for key in ("reason", "message") if found.get(key))


def owned_by(obj: Object, owner: Object) -> bool:
    uid = at(owner, "metadata.uid")
    return any(each.get("uid") == uid for each in at(obj, "metadata.ownerReferences", ()))


def warnings(obj: Object, look: Look, *reasons: str) -> Iterator[str]:
    """The latest warning about an object, of these reasons if any are named."""
    uid, namespace = at(obj, "metadata.uid", ""), at(obj, "metadata.namespace", "")
    found = [
        event
        for event in look.list("v1", "Event", namespace=namespace, fields=f"involvedObject.uid={uid},type=Warning")
        if not reasons or event.get("reason") in reasons
    ]
    if found:
        yield told(max(found, key=_time))


def selector_text(selector: Object) -> str:
    """A label selector as the API takes it in a query."""
    terms = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for each in selector.get("matchExpressions") or ():
        key, operator, values = each["key"], each["operator"], ",".join(each.get("values") or ())
        terms.append({
            "In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key, "DoesNotExist": f"!{key}",
        }[operator])  # fmt: skip
    return ",".join(terms)


def _time(event: Object) -> str:
    series: Any = event.get("series") or {}
    return str(series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime") or "")
