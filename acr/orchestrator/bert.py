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
        names = ["attn_output", "attn_output_norm", "ffn_up", "ffn_down", "layer_output_norm"]
        self._layers = [
            {"attn": self._attention(i), **{n: self._pair(f"blk.{i}.{n}") for n in names}}
            for i in range(layers)
        ]
        self._places = file.tensor("position_embd.weight") + file.tensor("token_types.weight")[0]
        self._norm = self._pair("token_embd_norm")
        self._head = self._pair("cls.output")

    def logits(self, ids: Sequence[int]) -> list[float]:
        """One number per output."""
        x = (self._file.rows("token_embd.weight", ids) + self._places[: len(ids)]).T.copy()
        x = self._normed(x, self._norm)
        for layer in self._layers:
            x = self._layer(x, layer)
        weight, bias = self._head
        found: list[float] = (weight @ x.mean(1) + bias[:, 0]).tolist()
        return found

    def _pair(self, name: str) -> tuple[Any, Any]:
        """Weight, and bias as a column: tokens are columns here, which is fastest."""
        return self._file.tensor(f"{name}.weight"), self._file.tensor(f"{name}.bias")[:, None]

    def _attention(self, number: int) -> tuple[Any, Any]:
        """Query, key and value as one matrix, the query divided by the root of its length."""
        import numpy as np

        pairs = [self._pair(f"blk.{number}.attn_{name}") for name in "qkv"]
        weight, bias = (np.concatenate(each) for each in zip(*pairs, strict=True))
        width = len(bias) // 3
        scale = np.float32((width / self._heads) ** -0.5)
        weight[:width] *= scale
        bias[:width] *= scale
        return weight, bias

    def _layer(self, x: Any, layer: dict[str, tuple[Any, Any]]) -> Any:
        import numpy as np

        width, length = x.shape
        q, k, v = _linear(x, layer["attn"]).reshape(3, self._heads, -1, length)
        scores = k.swapaxes(1, 2) @ q
        scores -= scores.max(1, keepdims=True)
        np.exp(scores, out=scores)
        mixed = v @ scores
        mixed /= scores.sum(1, keepdims=True)
        out = _linear(mixed.reshape(width, length), layer["attn_output"])
        x = self._normed(np.add(x, out, out=out), layer["attn_output_norm"])
        out = _linear(_gelu(_linear(x, layer["ffn_up"])), layer["ffn_down"])
        return self._normed(np.add(x, out, out=out), layer["layer_output_norm"])

    def _normed(self, x: Any, pair: tuple[Any, Any]) -> Any:
        """`x`, in place, with mean 0 and deviation 1 per token, then scaled and moved."""
        import numpy as np

        x -= x.mean(0)
        x /= np.sqrt(np.einsum("ij,ij->j", x, x) / len(x) + self._epsilon)
        x *= pair[0][:, None]
        x += pair[1]
        return x


def _linear(x: Any, pair: tuple[Any, Any]) -> Any:
    made = pair[0] @ x
    made += pair[1]
    return made


def _gelu(x: Any) -> Any:
    """The tanh form, as llama.cpp has it, by its sigmoid; in place."""
    import numpy as np

    twice = 2 * 0.7978845608
    power = x * x
    power *= -twice * 0.044715
    power -= twice
    power *= x
    with np.errstate(over="ignore"):  # far below 0 the quotient is 0, as it should be
        np.exp(power, out=power)
    power += 1
    x /= power
    return x
