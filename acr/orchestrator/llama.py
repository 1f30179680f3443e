"""The only module that imports llama_cpp; models run in a process of their own, one thread."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from acr.errors import AcrError, SettingsError

__all__ = ["CAP", "answer", "available", "check"]

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


def available() -> tuple[bool, str]:
    """(True, version) when llama.cpp's library loads and starts, else (False, reason and fix)."""
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
