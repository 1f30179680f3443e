"""The only module that imports llama_cpp: chat models in a process of their own, acr's own in ours.

Everything runs on one thread: with more, llama.cpp stands still where a core is busy.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from acr.errors import AcrError, SettingsError

__all__ = ["CAP", "Encoder", "answer", "available", "check"]

FIX = "acr works without it; to add it install a C++ compiler and run ./install.sh again"
CAP = 6000
"""Characters of a prompt that a small model still reads in seconds on one core."""
WINDOW = 4096
"""Tokens of prompt and reply."""
REPLY = 256
"""Tokens of a reply."""
PATIENCE = 300.0
"""Seconds."""
MAGIC = b"GGUF"
NEEDED = frozenset({"avx2", "f16c", "fma"})
"""What install.sh's build of llama.cpp expects of an x86 processor; without it the process dies."""
DEADLINE = 5.0
"""Seconds that one prompt may take an encoder."""


def available() -> tuple[bool, str]:
    """(True, version) when llama.cpp's library loads and starts, else (False, reason and fix)."""
    if missing := _lacks():
        return False, f"this processor has no {', '.join(missing)}; acr works without llama.cpp"
    try:
        import llama_cpp

        llama_cpp.llama_backend_init()
    except ImportError as e:
        if e.name == "llama_cpp":
            return False, f"llama-cpp-python is not installed; {FIX}"
        return False, f"llama-cpp-python is incomplete ({e}); {FIX}"
    except (OSError, RuntimeError, AttributeError) as e:  # its library is missing or unfit
        return False, f"llama-cpp-python cannot load its library ({e}); reinstall it: {FIX}"
    return True, f"llama-cpp-python {llama_cpp.__version__}"


def _lacks(about: Path = Path("/proc/cpuinfo")) -> list[str]:
    """What the processor should have and has not; empty where that cannot be told."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return []
    try:
        lines = about.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    flags = next((line.partition(":")[2].split() for line in lines if line[:5] == "flags"), None)
    return [] if flags is None else sorted(NEEDED - set(flags))


class Encoder:
    """A BERT classifier in this process. Its file must have been read and found whole before:
    llama.cpp may end the process at a bad one. Raises AcrError.
    """

    def __init__(self, path: Path, longest: int) -> None:
        import llama_cpp

        self._lib: Any = llama_cpp
        self._quiet = llama_cpp.llama_log_callback(lambda *_: None)
        llama_cpp.llama_log_set(self._quiet, ctypes.c_void_p(0))
        llama_cpp.llama_backend_init()
        wanted = llama_cpp.llama_model_default_params()
        wanted.n_gpu_layers, wanted.use_mmap = 0, True
        self._model = llama_cpp.llama_model_load_from_file(os.fsencode(path), wanted)
        if not self._model:
            raise AcrError(f"llama.cpp cannot load {path.name}")
        self._context = llama_cpp.llama_init_from_model(self._model, self._settings(longest))
        if not self._context:
            raise AcrError(f"llama.cpp has no room for {path.name}")
        self.outputs = int(llama_cpp.llama_model_n_cls_out(self._model))
        self._batch = llama_cpp.llama_batch_init(longest, 0, 1)
        self._until = 0.0
        self._late = llama_cpp.ggml_abort_callback(lambda _: time.monotonic() > self._until)
        llama_cpp.llama_set_abort_callback(self._context, self._late, ctypes.c_void_p(0))

    def logits(self, ids: Sequence[int]) -> list[float]:
        """One number per output. Raises AcrError when it takes longer than DEADLINE."""
        batch = self._batch
        batch.n_tokens = len(ids)
        for place, token in enumerate(ids):
            batch.token[place], batch.pos[place] = token, place
            batch.n_seq_id[place], batch.logits[place] = 1, 1
            batch.seq_id[place][0] = 0
        self._until = time.monotonic() + DEADLINE
        if self._lib.llama_encode(self._context, batch):
            raise AcrError(f"llama.cpp gave no answer within {DEADLINE:g} s")
        found = self._lib.llama_get_embeddings_seq(self._context, 0)
        return [float(x) for x in found[: self.outputs]]

    def _settings(self, longest: int) -> Any:
        made = self._lib.llama_context_default_params()
        made.n_ctx = made.n_batch = made.n_ubatch = longest
        made.n_seq_max = made.n_threads = made.n_threads_batch = 1
        made.embeddings = True
        made.pooling_type = self._lib.LLAMA_POOLING_TYPE_UNSPECIFIED  # the file says it
        return made


def check(model: Path) -> None:
    """Raises SettingsError when `model` is not a readable GGUF file."""
    try:
        with model.open("rb") as file:
            magic = file.read(len(MAGIC))
    except OSError as e:
        raise SettingsError(f"{model}: {e.strerror}; name a GGUF model that is there") from None
    if magic != MAGIC:
        raise SettingsError(f"{model}: not a GGUF model; name one that is")


def answer(model: Path, prompt: str) -> str:
    """What a chat model replies, at temperature 0, as one JSON object.

    It runs in a process of its own, because llama.cpp ends the whole process at what it cannot
    read. Raises AcrError when there is no reply.
    """
    asked = json.dumps({"model": str(model), "prompt": prompt})
    command = [sys.executable, "-I", "-m", __name__]
    try:
        done = subprocess.run(
            command, input=asked, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        raise AcrError(
            f"{model.name} gave no answer in {PATIENCE:g} s; use a smaller one"
        ) from None
    except OSError as e:
        raise AcrError(f"{model.name} could not be started: {e.strerror}") from None
    if done.returncode:
        last = [line for line in done.stderr.splitlines() if line.strip()][-1:]
        why = "".join(last) or f"llama.cpp ended with exit code {done.returncode}"
        raise AcrError(f"{model.name} gave no answer: {why[:200]}")
    return done.stdout


def _reply(asked: dict[str, Any]) -> str:
    ready, why = available()
    if not ready:
        sys.exit(why)
    import llama_cpp

    try:
        model = llama_cpp.Llama(
            asked["model"], n_ctx=WINDOW, n_threads=1, n_threads_batch=1, verbose=False
        )
        said: Any = model.create_chat_completion(
            [{"role": "user", "content": asked["prompt"]}],
            response_format={"type": "json_object"},
            temperature=0.0,
            max_tokens=REPLY,
        )
    except (ValueError, RuntimeError) as e:
        sys.exit(str(e))
    return str(said["choices"][0]["message"]["content"])


def _main() -> None:
    """Answers the JSON on stdin; llama.cpp's own words go to stderr."""
    with os.fdopen(os.dup(1), "w") as out, contextlib.redirect_stdout(sys.stderr):
        out.write(_reply(json.load(sys.stdin)))


if __name__ == "__main__":
    _main()
