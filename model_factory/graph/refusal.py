"""A cloud's refusal of a call, with what it is down to and what helps: from the provider that met it to whoever reads of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

Cause = Literal["quota", "permission", "throttling", "not-found", "bad-input"]

_KEYS: Final = {
    "cloud": "cloud",
    "operation": "operation",
    "code": "code",
    "status": "status",
    "requestId": "request_id",
    "reason": "reason",
    "cause": "cause",
    "remedy": "remedy",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """`operation`, `code`, `request_id` and `reason` are the cloud's own words; `status` is of HTTP, 0 where there is none. `cause` is
    empty where the code does not tell it, and then there is no `remedy`."""

    cloud: str
    operation: str
    code: str
    status: int = 0
    request_id: str = ""
    reason: str = ""
    cause: Cause | Literal[""] = ""
    remedy: str = ""

    @property
    def document(self) -> dict[str, Any]:
        """As events and JSON carry it; what is empty is left out."""
        return {key: value for key, name in _KEYS.items() if (value := getattr(self, name))}

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Refusal:
        """The refusal in a `document`."""
        found: dict[str, Any] = {name: document.get(key) or "" for key, name in _KEYS.items()}
        found["status"] = int(found["status"] or 0)
        return cls(**found)

    @property
    def lines(self) -> tuple[str, ...]:
        """What is to be said beside the message: where it comes from, and what helps."""
        facts = [f"{self.cloud} {self.operation}", self.code]
        facts += [f"HTTP {self.status}"] if self.status else []
        facts += [f"request {self.request_id}"] if self.request_id else []
        source = f"{self.cause or 'refused'}: {', '.join(facts)}"
        return (source, f"remedy: {self.remedy}") if self.remedy else (source,)
