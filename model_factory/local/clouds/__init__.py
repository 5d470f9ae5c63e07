"""The local clouds, one package each."""

from typing import Final

TRANSITION_SECONDS: Final = 0.3
"""How long states such as CREATING last where nobody says otherwise: real, so that waiting is, and short."""
