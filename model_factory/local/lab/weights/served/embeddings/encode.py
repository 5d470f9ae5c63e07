"""Texts to embeddings. It needs nothing but what the server's image has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import onnxruntime
import tokenizers

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOKENS_MAX: Final = 256
"""What the model was trained for: its sentence_bert_config.json. Longer texts are cut."""


class Encoder:
    """Sentence embeddings of one model, all texts of a call in one run."""

    def __init__(self, folder: Path, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        # Its own default takes all cores of the node, whatever the Pod asked for.
        options.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(
            str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )
        self._tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(TOKENS_MAX)
        self._tokenizer.enable_padding()

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """An embedding a text: texts × 384, each of length 1."""
        encoded = self._tokenizer.encode_batch(list(texts))
        given: dict[str, Any] = {
            "input_ids": np.array([each.ids for each in encoded], np.int64),
            "attention_mask": np.array([each.attention_mask for each in encoded], np.int64),
        }
        return cast("NDArray[np.float32]", self._session.run(["embedding"], given)[0])
