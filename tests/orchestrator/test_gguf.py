"""GGUF files are read as they are written, and what is cut off or foreign is refused."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from acr.orchestrator.gguf import Gguf


def text(value: str) -> bytes:
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def pair(key: str, kind: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + value


def made(pairs: list[bytes], tensors: list[tuple[str, tuple[int, ...], int, bytes]]) -> bytes:
    """A GGUF file; shapes are given rows first."""
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(pairs)) + b"".join(pairs)
    data = b""
    for name, shape, kind, raw in tensors:
        data += b"\0" * (-len(data) % 32)
        dims = struct.pack(f"<I{len(shape)}Q", len(shape), *reversed(shape))
        head += text(name) + dims + struct.pack("<IQ", kind, len(data))
        data += raw
    return head + b"\0" * (-len(head) % 32) + data


@pytest.fixture
def whole() -> bytes:
    blocks = b"".join(
        np.float16(scale).tobytes() + np.arange(32, dtype=np.int8).tobytes() for scale in (0.5, 2)
    )
    names = struct.pack("<IQ", 8, 2) + text("a") + text("b")
    pairs = [pair("s", 8, text("é")), pair("n", 4, struct.pack("<I", 7)), pair("l", 9, names)]
    numbers = np.arange(6, dtype=np.float32)
    return made(
        pairs,
        [
            ("f32", (2, 3), 0, numbers.tobytes()),
            ("f16", (6,), 1, numbers.astype(np.float16).tobytes()),
            ("q8", (2, 32), 8, blocks),
        ],
    )


def test_values_and_tensors_are_what_was_written(tmp_path: Path, whole: bytes) -> None:
    (tmp_path / "a.gguf").write_bytes(whole)
    file = Gguf(tmp_path / "a.gguf")
    assert file.values == {"s": "é", "n": 7, "l": ["a", "b"]}
    assert file.tensor("f32").tolist() == [[0, 1, 2], [3, 4, 5]]
    assert file.tensor("f16").tolist() == [0, 1, 2, 3, 4, 5]
    assert file.tensor("q8")[1].tolist() == [2 * i for i in range(32)]
    assert file.rows("q8", [1, 0, 1]).tolist() == file.tensor("q8")[[1, 0, 1]].tolist()
    assert "q8" in file
    assert file.shape("q8") == (2, 32)


def test_a_file_cut_off_anywhere_is_refused(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "a.gguf"
    for length in range(1, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"cut off|not a GGUF|is empty"):
            Gguf(path)


@pytest.mark.parametrize("raw", [b"PK\3\4" + b"\0" * 60, b"GGUF" + b"\xff" * 60, b"GGUF\1" * 9])
def test_other_bytes_are_refused(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "a.gguf").write_bytes(raw)
    with pytest.raises(ValueError, match=r"cut off|not a GGUF|is not known"):
        Gguf(tmp_path / "a.gguf")


def test_an_unknown_tensor_is_named(tmp_path: Path, whole: bytes) -> None:
    (tmp_path / "a.gguf").write_bytes(whole)
    with pytest.raises(ValueError, match="it has no tensor head"):
        Gguf(tmp_path / "a.gguf").tensor("head")
