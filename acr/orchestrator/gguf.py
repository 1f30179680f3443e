"""Reads GGUF files: their key-value pairs, and tensors of the types f32, f16 and q8_0."""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Gguf"]

MAGIC = b"GGUF"
SCALARS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
"""Value types of the format, as `struct` names them."""
STRING, ARRAY = 8, 9
F32, F16, Q8_0 = 0, 1, 8
BLOCK = 32
"""Numbers of q8_0 that share a scale."""


@dataclass(frozen=True, slots=True)
class _Info:
    shape: tuple[int, ...]
    kind: int
    start: int
    size: int


class Gguf:
    """An opened file; tensors are read when they are asked for. Raises ValueError, OSError."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            if not os.fstat(file.fileno()).st_size:
                raise ValueError("it is empty")
            self._view = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        self._at = 0
        if bytes(self._take(4)) != MAGIC:
            raise ValueError("it is not a GGUF file")
        version, tensors, pairs = self._unpack("IQQ")
        if version not in (2, 3):
            raise ValueError(f"version {version} of GGUF is not known")
        self.values: dict[str, Any] = {}
        for _ in range(pairs):
            key = self._string()
            self.values[key] = self._value(self._unpack("I")[0])
        self._infos = self._tensors(tensors)

    def __contains__(self, name: str) -> bool:
        return name in self._infos

    def tensor(self, name: str) -> Any:
        """Tensor `name` as float32 numbers, row-major."""
        return _numbers(self._raw(name), self._infos[name])

    def rows(self, name: str, wanted: Sequence[int]) -> Any:
        """Some rows of a two-dimensional tensor as float32 numbers."""
        info = self._infos[name]
        raw = self._raw(name).reshape(info.shape[0], -1)[list(wanted)]
        return _numbers(raw, _Info((len(wanted), info.shape[1]), info.kind, 0, 0))

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of tensor `name`, rows first."""
        if name not in self._infos:
            raise ValueError(f"it has no tensor {name}")
        return self._infos[name].shape

    def _raw(self, name: str) -> Any:
        import numpy as np

        self.shape(name)
        info = self._infos[name]
        return np.frombuffer(self._view, np.uint8, info.size, info.start)

    def _tensors(self, count: int) -> dict[str, _Info]:
        found = []
        for _ in range(count):
            name, (dimensions,) = self._string(), self._unpack("I")
            shape = self._unpack(f"{min(dimensions, 8)}Q")[::-1]
            kind, offset = self._unpack("IQ")
            found.append((name, shape, kind, offset))
        align = int(self.values.get("general.alignment", 32))
        begin = -(-self._at // align) * align
        infos = {n: _Info(s, k, begin + o, _size(n, s, k)) for n, s, k, o in found}
        if any(info.start + info.size > len(self._view) for info in infos.values()):
            raise ValueError("it is cut off")
        return infos

    def _value(self, kind: int) -> Any:
        if kind == STRING:
            return self._string()
        if kind == ARRAY:
            inner, count = self._unpack("IQ")
            if inner in SCALARS:
                return self._unpack(f"{count}{SCALARS[inner]}")
            return [self._value(inner) for _ in range(count)]
        if kind not in SCALARS:
            raise ValueError(f"it holds a value of the unknown type {kind}")
        return self._unpack(SCALARS[kind])[0]

    def _string(self) -> str:
        (length,) = self._unpack("Q")
        return bytes(self._take(length)).decode(errors="replace")

    def _unpack(self, layout: str) -> tuple[Any, ...]:
        return struct.unpack(f"<{layout}", self._take(struct.calcsize(f"<{layout}")))

    def _take(self, length: int) -> memoryview:
        end = self._at + length
        if end > len(self._view):
            raise ValueError("it is cut off")
        taken, self._at = self._view[self._at : end], end
        return taken


def _size(name: str, shape: tuple[int, ...], kind: int) -> int:
    """Bytes of a tensor."""
    count = 1
    for length in shape:
        count *= length
    if kind == F32:
        return count * 4
    if kind == F16:
        return count * 2
    if kind == Q8_0 and not count % BLOCK:
        return count // BLOCK * (BLOCK + 2)
    raise ValueError(f"tensor {name} has the unknown type {kind}")


def _numbers(raw: Any, info: _Info) -> Any:
    import numpy as np

    if info.kind != Q8_0:
        kept = np.ascontiguousarray(raw).view(np.float32 if info.kind == F32 else np.float16)
        return kept.reshape(info.shape).astype(np.float32)
    blocks = (
        np.ascontiguousarray(raw).reshape(-1).view([("scale", "<f2"), ("numbers", "i1", BLOCK)])
    )
    made = blocks["numbers"].astype(np.float32)
    made *= blocks["scale"].astype(np.float32)[:, None]
    return made.reshape(info.shape)
