"""TEXT to EMBEDDING in Triton: the texts of all requests of a batch in one run."""

from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as triton  # pyright: ignore[reportMissingImports]  (the server brings it)
from encode import Encoder


class TritonPythonModel:
    """What the Python backend calls: github.com/triton-inference-server/python_backend."""

    def initialize(self, args: dict[str, str]) -> None:
        """Loads the model beside this file."""
        self._encoder = Encoder(Path(args["model_repository"]) / args["model_version"])

    def execute(self, requests: list[Any]) -> list[Any]:
        """A response a request."""
        asked = [triton.get_input_tensor_by_name(request, "TEXT").as_numpy() for request in requests]
        texts = [text.decode(errors="replace") for tensor in asked for text in tensor.ravel()]
        ends = np.cumsum([len(tensor) for tensor in asked])[:-1]
        return [
            triton.InferenceResponse([triton.Tensor("EMBEDDING", np.ascontiguousarray(rows))])
            for rows in np.split(self._encoder.encode(texts), ends)
        ]
