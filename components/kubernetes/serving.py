"""What a stack file may say about models, as planning asks for it."""

from typing import Final

from components.kubernetes.runtimes import RUNTIMES
from components.kubernetes.weights import ROUTES
from model_factory.planning.settings.serving import Serving

SERVING: Final = Serving(RUNTIMES, ROUTES)
