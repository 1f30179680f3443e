"""MiniLM (a BERT of six layers) in torch, with one linear layer of outputs on the mean token."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Encoder", "batch", "weights"]

WIDTH, LAYERS, HEADS, INNER, POSITIONS = 384, 6, 12, 1536, 512
EPSILON = 1e-12


def weights(folder: Path) -> dict[str, Tensor]:
    """The published all-MiniLM-L6-v2 weights by their names."""
    from safetensors.torch import load_file

    found = load_file(folder / "model.safetensors")
    return {name: value.float() for name, value in found.items() if "position_ids" not in name}


class _Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.self = nn.ModuleDict({k: nn.Linear(WIDTH, WIDTH) for k in ("query", "key", "value")})
        self.output = nn.ModuleDict(
            {"dense": nn.Linear(WIDTH, WIDTH), "LayerNorm": nn.LayerNorm(WIDTH, eps=EPSILON)}
        )

    def forward(self, x: Tensor, mask: Tensor, drop: float) -> Tensor:
        rows, length, _ = x.shape
        q, k, v = (
            self.self[name](x).view(rows, length, HEADS, -1).transpose(1, 2)
            for name in ("query", "key", "value")
        )
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=drop)
        out = self.output["dense"](mixed.transpose(1, 2).reshape(rows, length, WIDTH))
        normed: Tensor = self.output["LayerNorm"](x + functional.dropout(out, drop))
        return normed


class _Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = _Attention()
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(WIDTH, INNER)})
        self.output = nn.ModuleDict(
            {"dense": nn.Linear(INNER, WIDTH), "LayerNorm": nn.LayerNorm(WIDTH, eps=EPSILON)}
        )

    def forward(self, x: Tensor, mask: Tensor, drop: float) -> Tensor:
        x = self.attention(x, mask, drop)
        inner = functional.gelu(self.intermediate["dense"](x))
        out = functional.dropout(self.output["dense"](inner), drop)
        normed: Tensor = self.output["LayerNorm"](x + out)
        return normed


class Encoder(nn.Module):
    """Token ids to the mean of the last hidden states, and from there to `outputs` logits."""

    def __init__(self, vocabulary: int, outputs: int) -> None:
        super().__init__()
        self.embeddings = nn.ModuleDict(
            {
                "word_embeddings": nn.Embedding(vocabulary, WIDTH),
                "position_embeddings": nn.Embedding(POSITIONS, WIDTH),
                "token_type_embeddings": nn.Embedding(2, WIDTH),
                "LayerNorm": nn.LayerNorm(WIDTH, eps=EPSILON),
            }
        )
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(_Layer() for _ in range(LAYERS))})
        self.head = nn.Linear(WIDTH, outputs)
        self.words = vocabulary
        """Rows of the embedding table."""
        self.drop = 0.0
        """Share of activations that training leaves out."""

    def features(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Mean hidden state of each row; `mask` is True where a token is."""
        drop = self.drop if self.training else 0.0
        table: Any = self.embeddings
        places = torch.arange(ids.shape[1], device=ids.device)
        x = table["word_embeddings"](ids) + table["position_embeddings"](places)
        x = table["LayerNorm"](x + table["token_type_embeddings"].weight[0])
        x = functional.dropout(x, drop)
        layers: Any = self.encoder["layer"]
        for layer in layers:
            x = layer(x, mask[:, None, None, :], drop)
        pooled: Tensor = (x * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
        return pooled

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.head.weight.device

    def outputs(self, pooled: Tensor) -> Tensor:
        """Logits of each row of features."""
        logits: Tensor = self.head(functional.dropout(pooled, self.drop, self.training))
        return logits

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Logits of each row."""
        return self.outputs(self.features(ids, mask))


def batch(rows: list[list[int]], device: torch.device | None = None) -> tuple[Tensor, Tensor]:
    """Ids padded to one length, and the mask of what is no padding."""
    length = max(map(len, rows))
    mask = [[True] * len(row) + [False] * (length - len(row)) for row in rows]
    ids = [row + [0] * (length - len(row)) for row in rows]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)
