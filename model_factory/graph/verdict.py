"""What a policy pack's host says of a check that met a value which is not known before `up`."""

from __future__ import annotations

from typing import Final

# pulumi-policy, policy.py: "can't run policy 'x' from policy pack 'y@v1' during preview: why". There is no other mark.
_BEGINS: Final = ("can't run policy '", "can't run remediation '")
_WHY_FOLLOWS: Final = "during preview: "


def not_evaluated(message: str) -> str | None:
    """Why a check could not be judged; None where the message is a finding."""
    if not message.startswith(_BEGINS):
        return None
    return message.partition(_WHY_FOLLOWS)[2] or message
