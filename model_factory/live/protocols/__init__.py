"""How models are asked, by the name that a runtime gives. A new protocol is a file beside this and a line here."""

from collections.abc import Mapping
from typing import Final

from model_factory.live.protocols import kserve, openai, tensorflow_serving, torchserve
from model_factory.live.protocols.protocol import ModelProtocol

PROTOCOLS: Final[Mapping[str, ModelProtocol]] = {
    "kserve": kserve.PROTOCOL,
    "openai": openai.PROTOCOL,
    "tensorflow-serving": tensorflow_serving.PROTOCOL,
    "torchserve": torchserve.PROTOCOL,
}
