"""The local clouds, one package each."""

from typing import Final

TRANSITION_SECONDS: Final = 0.3
"""How long states such as CREATING last where nobody says otherwise: real, so that waiting is, and short."""

REFUSAL: Final = "cannot start: "
"""What begins the last line that a cloud writes when it cannot use what it has stored; the rest is for the user."""
