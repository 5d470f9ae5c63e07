"""Contents of files to their types, as Magika tells them. It needs nothing but what the server's image has.

What is done before and behind the model is written after github.com/google/magika (Apache-2.0), python/src/magika/magika.py, in its mode
of high confidence.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import onnxruntime

EMPTY: Final = "empty"
TEXT: Final = "txt"
UNKNOWN: Final = "unknown"


class Recogniser:
    """The type of each content and how sure that is, all contents of a call in one run."""

    def __init__(self, folder: Path, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        # Its own default takes all cores of the node, whatever the Pod asked for.
        options.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(
            str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )
        self._config = cast("dict[str, Any]", json.loads((folder / "config.json").read_text(encoding="utf-8")))
        known = cast("dict[str, Any]", json.loads((folder / "types.json").read_text(encoding="utf-8")))
        self._textual = {name for name, of in known.items() if of["is_text"]}

    def recognise(self, contents: Sequence[bytes]) -> list[tuple[str, float]]:
        """A type, as in Magika's list, and a score from 0 to 1 for each content."""
        found = [self._without_model(each) for each in contents]
        asked = [each for each, known in zip(contents, found, strict=True) if known is None]
        if not asked:
            return [each for each in found if each is not None]
        given = {self._session.get_inputs()[0].name: np.array([self._features(each) for each in asked], np.int32)}
        scores = cast("Any", self._session.run(["target_label"], given)[0])
        told = iter([self._told(row) for row in scores])
        return [next(told) if each is None else each for each in found]

    def _without_model(self, content: bytes) -> tuple[str, float] | None:
        if not content:
            return EMPTY, 1.0
        least = self._config["min_file_size_for_dl"]
        if len(content) < least or len(self._start(content)) < least:
            return _of_few(content[: self._config["block_size"]]), 1.0
        return None

    def _start(self, content: bytes) -> bytes:
        return content[: self._config["block_size"]].lstrip()[: self._config["beg_size"]]

    def _features(self, content: bytes) -> list[int]:
        beg, end, padding = self._config["beg_size"], self._config["end_size"], self._config["padding_token"]
        first, last = self._start(content), content[-self._config["block_size"] :].rstrip()[-end:]
        return [*first, *[padding] * (beg - len(first)), *[padding] * (end - len(last)), *last]

    def _told(self, scores: Any) -> tuple[str, float]:
        index = int(np.argmax(scores))
        label, score = self._config["target_labels_space"][index], float(scores[index])
        shown = self._config["overwrite_map"].get(label, label)
        if score >= self._config["thresholds"].get(label, self._config["medium_confidence_threshold"]):
            return shown, score
        return TEXT if shown in self._textual else UNKNOWN, score


def _of_few(content: bytes) -> str:
    try:
        content.decode()
    except UnicodeDecodeError:
        return UNKNOWN
    return TEXT
