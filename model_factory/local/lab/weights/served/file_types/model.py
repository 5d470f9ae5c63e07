"""CONTENT to TYPE and SCORE in Triton: the contents of all requests of a batch in one run."""

from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as triton  # pyright: ignore[reportMissingImports]  (the server brings it)
from recognise import Recogniser


class TritonPythonModel:
    """What the Python backend calls: github.com/triton-inference-server/python_backend."""

    def initialize(self, args: dict[str, str]) -> None:
        """Loads the model beside this file."""
        self._recogniser = Recogniser(Path(args["model_repository"]) / args["model_version"])

    def execute(self, requests: list[Any]) -> list[Any]:
        """A response a request."""
        asked = [triton.get_input_tensor_by_name(request, "CONTENT").as_numpy() for request in requests]
        told = iter(self._recogniser.recognise([bytes(each) for tensor in asked for each in tensor.ravel()]))
        return [_response([next(told) for _ in range(len(tensor))]) for tensor in asked]


def _response(told: list[tuple[str, float]]) -> Any:
    types = np.array([[name.encode()] for name, _ in told], np.object_)
    scores = np.array([[score] for _, score in told], np.float32)
    return triton.InferenceResponse([triton.Tensor("TYPE", types), triton.Tensor("SCORE", scores)])
