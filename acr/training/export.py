"""Writes the encoder as a GGUF file that llama.cpp runs as a classifier."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from acr.training.encoder import EPSILON, HEADS, INNER, LAYERS, POSITIONS, WIDTH, Encoder

__all__ = ["write"]

PARTS = {
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
}
"""Names in a BERT checkpoint and in GGUF."""
TABLES = {
    "embeddings.word_embeddings.weight": "token_embd.weight",
    "embeddings.position_embeddings.weight": "position_embd.weight",
    "embeddings.token_type_embeddings.weight": "token_types.weight",
    "embeddings.LayerNorm.weight": "token_embd_norm.weight",
    "embeddings.LayerNorm.bias": "token_embd_norm.bias",
    "head.weight": "cls.output.weight",
    "head.bias": "cls.output.bias",
}
EIGHT_BITS = 7
"""general.file_type of files whose matrices are q8_0."""


def write(model: Encoder, tokenizer: str, labels: list[str], path: Path) -> None:
    """Matrices as q8_0, the rest as f32; the tokenizer's JSON goes along."""
    import gguf

    writer = gguf.GGUFWriter(path, "bert")
    writer.add_name("acr orchestrator")
    writer.add_license("apache-2.0")
    writer.add_context_length(POSITIONS)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_layer_norm_eps(EPSILON)
    writer.add_causal_attention(False)
    writer.add_token_type_count(2)
    writer.add_file_type(EIGHT_BITS)
    writer.add_pooling_type(gguf.PoolingType.RANK)
    writer.add_uint32("bert.classifier.pooling_type", int(gguf.PoolingType.MEAN))
    writer.add_array("bert.classifier.output_labels", labels)
    # acr cuts prompts into tokens itself, so that llama.cpp need not build a vocabulary
    writer.add_tokenizer_model("no_vocab")
    writer.add_vocab_size(model.words)
    writer.add_string("tokenizer.huggingface.json", tokenizer)
    for name, value in model.state_dict().items():
        _add_tensor(writer, _name(name), value.float().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _name(name: str) -> str:
    if name in TABLES:
        return TABLES[name]
    _, _, number, rest = name.split(".", 3)
    part, _, kind = rest.rpartition(".")
    return f"blk.{number}.{PARTS[part]}.{kind}"


def _add_tensor(writer: Any, name: str, value: Any) -> None:
    import gguf

    eight = gguf.GGMLQuantizationType.Q8_0
    if value.ndim == 2 and name.startswith(("blk.", "token_embd.")):
        writer.add_tensor(name, gguf.quants.quantize(value, eight), raw_dtype=eight)
    else:
        writer.add_tensor(name, value)
