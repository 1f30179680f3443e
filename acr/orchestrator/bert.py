"""The numpy twin of llama.cpp's BERT: the same GGUF, the same outputs, no compiler needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from acr.orchestrator.gguf import Gguf

__all__ = ["Twin"]


class Twin:
    """A BERT with its classification layer on the mean token. Raises ValueError.

    Numbers differ a little from llama.cpp's, which rounds activations to eight bits as well.
    """

    def __init__(self, file: Gguf) -> None:
        layers = int(file.values["bert.block_count"])
        self._file = file
        self._heads = int(file.values["bert.attention.head_count"])
        self._epsilon = float(file.values["bert.attention.layer_norm_epsilon"])
        names = ["attn_q", "attn_k", "attn_v", "attn_output", "attn_output_norm"]
        names += ["ffn_up", "ffn_down", "layer_output_norm"]
        self._layers = [{n: self._pair(f"blk.{i}.{n}") for n in names} for i in range(layers)]
        self._places = file.tensor("position_embd.weight") + file.tensor("token_types.weight")[0]
        self._norm = self._pair("token_embd_norm")
        self._head = self._pair("cls.output")

    def logits(self, ids: Sequence[int]) -> list[float]:
        """One number per output."""
        x = self._file.rows("token_embd.weight", ids) + self._places[: len(ids)]
        x = self._normed(x, self._norm)
        for layer in self._layers:
            x = self._layer(x, layer)
        weight, bias = self._head
        found: list[float] = (weight @ x.mean(0) + bias).tolist()
        return found

    def _pair(self, name: str) -> tuple[Any, Any]:
        return self._file.tensor(f"{name}.weight"), self._file.tensor(f"{name}.bias")

    def _layer(self, x: Any, layer: dict[str, tuple[Any, Any]]) -> Any:
        import numpy as np

        length, width = x.shape
        split = (length, self._heads, width // self._heads)
        q, k, v = (
            _linear(x, layer[n]).reshape(split).swapaxes(0, 1)
            for n in ("attn_q", "attn_k", "attn_v")
        )
        scores = q @ k.swapaxes(1, 2) / np.sqrt(split[2], dtype=np.float32)
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = scores / scores.sum(-1, keepdims=True) @ v
        mixed = mixed.swapaxes(0, 1).reshape(length, width)
        x = self._normed(x + _linear(mixed, layer["attn_output"]), layer["attn_output_norm"])
        inner = _gelu(_linear(x, layer["ffn_up"]))
        return self._normed(x + _linear(inner, layer["ffn_down"]), layer["layer_output_norm"])

    def _normed(self, x: Any, pair: tuple[Any, Any]) -> Any:
        import numpy as np

        x = x - x.mean(-1, keepdims=True)
        scale = np.sqrt((x * x).mean(-1, keepdims=True) + self._epsilon)
        return x / scale * pair[0] + pair[1]


def _linear(x: Any, pair: tuple[Any, Any]) -> Any:
    return x @ pair[0].T + pair[1]


def _gelu(x: Any) -> Any:
    """The tanh form, as llama.cpp has it."""
    import numpy as np

    return 0.5 * x * (1 + np.tanh(0.7978845608 * x * (1 + 0.044715 * x * x)))
