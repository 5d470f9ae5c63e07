"""BERT as an ONNX graph, written from its published weights without the framework that trained it.

The graph is the encoder of https://arxiv.org/abs/1810.04805 as Hugging Face names its tensors, with the pooling of Sentence Transformers
behind it: the mean over a text's tokens, of length 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import numpy as np
    import onnx

OPSET: Final = 17
"""The first with LayerNormalization."""
_IR: Final = 8
"""What ONNX Runtime reads that knows this opset: https://onnxruntime.ai/docs/reference/compatibility.html"""
_MASKED: Final = -1e9
"""Added to the score of padding: nothing is left of it behind softmax."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a model's config.json says of its size."""

    layers: int
    heads: int
    hidden: int
    epsilon: float


class _Graph:
    """Nodes in the order in which they are computed. Each operation names its one output."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: np.ndarray[Any, Any]) -> str:
        import onnx.numpy_helper

        self.constants.append(onnx.numpy_helper.from_array(value, name))
        return name

    def apply(self, operation: str, *inputs: str, **attributes: Any) -> str:
        import onnx.helper

        name = f"{operation.lower()}_{len(self.nodes)}"
        self.nodes.append(onnx.helper.make_node(operation, list(inputs), [name], name=name, **attributes))
        return name


class _Encoder:
    def __init__(self, graph: _Graph, weights: Mapping[str, np.ndarray[Any, Any]], shape: Shape) -> None:
        import numpy as np

        self._graph, self._weights, self._shape = graph, weights, shape
        head_size = shape.hidden // shape.heads
        self._split = graph.constant("split", np.array([0, 0, shape.heads, head_size], np.int64))
        self._join = graph.constant("join", np.array([0, 0, shape.hidden], np.int64))
        self._scale = graph.constant("scale", np.array(head_size**-0.5, np.float32))
        self._half, self._one = (
            graph.constant("half", np.array([0.5], np.float32)),
            graph.constant("one", np.array([1], np.float32)),
        )
        self._root = graph.constant("root", np.array([2**-0.5], np.float32))

    def layer(self, before: str, mask: str, number: int) -> str:
        graph, at = self._graph, f"encoder.layer.{number}"
        query = graph.apply("Mul", self._heads(before, f"{at}.attention.self.query", [0, 2, 1, 3]), self._scale)
        key = self._heads(before, f"{at}.attention.self.key", [0, 2, 3, 1])
        value = self._heads(before, f"{at}.attention.self.value", [0, 2, 1, 3])
        scores = graph.apply("Add", graph.apply("MatMul", query, key), mask)
        seen = graph.apply("MatMul", graph.apply("Softmax", scores, axis=-1), value)
        joined = graph.apply("Reshape", graph.apply("Transpose", seen, perm=[0, 2, 1, 3]), self._join)
        attended = self.norm(
            graph.apply("Add", self._linear(joined, f"{at}.attention.output.dense"), before),
            f"{at}.attention.output.LayerNorm",
        )
        wide = self._gelu(self._linear(attended, f"{at}.intermediate.dense"))
        return self.norm(
            graph.apply("Add", self._linear(wide, f"{at}.output.dense"), attended), f"{at}.output.LayerNorm"
        )

    def norm(self, value: str, name: str) -> str:
        scale, shift = self._weight(f"{name}.weight"), self._weight(f"{name}.bias")
        return self._graph.apply("LayerNormalization", value, scale, shift, axis=-1, epsilon=self._shape.epsilon)

    def _heads(self, value: str, name: str, order: list[int]) -> str:
        return self._graph.apply(
            "Transpose", self._graph.apply("Reshape", self._linear(value, name), self._split), perm=order
        )

    def _linear(self, value: str, name: str) -> str:
        weight = self._graph.constant(f"{name}.weight", self._weights[f"{name}.weight"].T.copy())
        return self._graph.apply("Add", self._graph.apply("MatMul", value, weight), self._weight(f"{name}.bias"))

    def _gelu(self, value: str) -> str:
        graph = self._graph
        risen = graph.apply("Add", graph.apply("Erf", graph.apply("Mul", value, self._root)), self._one)
        return graph.apply("Mul", graph.apply("Mul", value, risen), self._half)

    def _weight(self, name: str) -> str:
        return self._graph.constant(name, self._weights[name])


def embedder(weights: Mapping[str, np.ndarray[Any, Any]], shape: Shape) -> onnx.ModelProto:
    """A model from `input_ids` and `attention_mask` (int64, texts × tokens) to `embedding` (float32, texts × hidden), each of length 1."""
    import numpy as np
    import onnx
    import onnx.helper

    graph = _Graph()
    encoder = _Encoder(graph, weights, shape)
    axis = graph.constant("axes_1_2", np.array([1, 2], np.int64))
    floats = graph.apply("Cast", "attention_mask", to=onnx.TensorProto.FLOAT)
    away = graph.apply(
        "Mul", graph.apply("Sub", "one", floats), graph.constant("masked", np.array([_MASKED], np.float32))
    )
    mask = graph.apply("Unsqueeze", away, axis)
    words = graph.apply("Gather", graph.constant("words", weights["embeddings.word_embeddings.weight"]), "input_ids")
    # All tokens are of the first segment, whose row therefore is added to all positions beforehand.
    rows = weights["embeddings.position_embeddings.weight"] + weights["embeddings.token_type_embeddings.weight"][0]
    length = graph.apply(
        "Slice",
        graph.apply("Shape", "input_ids"),
        *(graph.constant(f"at_{each}", np.array([each], np.int64)) for each in (1, 2)),
    )
    positions = graph.apply(
        "Slice", graph.constant("positions", rows), graph.constant("at_0", np.array([0], np.int64)), length
    )
    hidden = encoder.norm(graph.apply("Add", words, positions), "embeddings.LayerNorm")
    for number in range(shape.layers):
        hidden = encoder.layer(hidden, mask, number)

    kept = graph.apply("Unsqueeze", floats, graph.constant("axis_2", np.array([2], np.int64)))
    total = graph.apply("ReduceSum", graph.apply("Mul", hidden, kept), "at_1", keepdims=0)
    mean = graph.apply("Div", total, graph.apply("ReduceSum", kept, "at_1", keepdims=0))
    length = graph.apply("ReduceL2", mean, axes=[1], keepdims=1)
    graph.nodes.append(onnx.helper.make_node("Div", [mean, length], ["embedding"], name="embedding"))

    ids, floating = onnx.TensorProto.INT64, onnx.TensorProto.FLOAT
    return onnx.helper.make_model(
        onnx.helper.make_graph(
            graph.nodes,
            "embedder",
            [
                onnx.helper.make_tensor_value_info(name, ids, ["texts", "tokens"])
                for name in ("input_ids", "attention_mask")
            ],
            [onnx.helper.make_tensor_value_info("embedding", floating, ["texts", shape.hidden])],
            graph.constants,
        ),
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        ir_version=_IR,
        producer_name="model-factory",
    )
