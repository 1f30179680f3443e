"""The only module that imports llama_cpp: chat models in a process of their own, acr's own in ours.

Everything runs on one thread: with more, llama.cpp stands still where a core is busy.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import importlib.util
import json
import os
import platform
import re
import socket
import subprocess
import sys
import time
import types
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

from acr import settings
from acr.errors import AcrError, SettingsError

__all__ = ["CAP", "HUB", "Encoder", "answer", "available", "check", "find", "odds", "wide"]

PACKAGE = "llama_cpp"
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
HUB = "hf:"
"""Begins the name of a model that is not on this machine yet."""
NEEDED = frozenset({"avx2", "f16c", "fma"})
"""What install.sh's build of llama.cpp expects of an x86 processor; without it the process dies."""
DEADLINE = 5.0
"""Seconds that one prompt may take an encoder."""


def available() -> tuple[bool, str]:
    """(True, version) when llama.cpp's library loads and starts, else (False, reason and fix)."""
    if missing := _lacks():
        return False, f"this processor has no {', '.join(missing)}; acr works without llama.cpp"
    try:
        _bindings().llama_backend_init()
    except ImportError as e:
        if e.name == "llama_cpp":
            return False, f"llama-cpp-python is not installed; {FIX}"
        return False, f"llama-cpp-python is incomplete ({e}); {FIX}"
    except (OSError, RuntimeError, AttributeError) as e:  # its library is missing or unfit
        return False, f"llama-cpp-python cannot load its library ({e}); reinstall it: {FIX}"
    return True, f"llama-cpp-python {_version()}"


def wide() -> bool:
    """Whether the library that loads computes with AVX-512, or for another family than x86."""
    if not _is_x86():
        return True
    return b"AVX512_VNNI = 1" in _bindings().llama_print_system_info()


def _bindings() -> Any:
    """llama.cpp's functions. The classes around them take longer to import than a model to load."""
    found = _package()
    if PACKAGE in sys.modules or found.submodule_search_locations is None:
        return importlib.import_module(f"{PACKAGE}.{PACKAGE}")
    bare = types.ModuleType(PACKAGE)
    bare.__path__ = list(found.submodule_search_locations)
    sys.modules[PACKAGE] = bare
    try:
        return importlib.import_module(f"{PACKAGE}.{PACKAGE}")
    finally:
        del sys.modules[PACKAGE]  # whoever imports it later gets all of it


def _package() -> ModuleSpec:
    """Where llama-cpp-python lies. Raises ImportError."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None:
        raise ImportError(f"no {PACKAGE}", name=PACKAGE)
    return found


def _version() -> str:
    """Its version, without importing it."""
    text = Path(str(_package().origin)).read_text(encoding="utf-8")
    found = re.search(r"__version__ = ['\"](.+?)['\"]", text)
    return found[1] if found else "of unknown version"


def _is_x86() -> bool:
    return platform.machine().lower() in ("x86_64", "amd64")


def _lacks(about: Path = Path("/proc/cpuinfo")) -> list[str]:
    """What the processor should have and has not; empty where that cannot be told."""
    if not _is_x86():
        return []
    try:
        lines = about.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    flags = next((line.partition(":")[2].split() for line in lines if line[:5] == "flags"), None)
    return [] if flags is None else sorted(_needed() - set(flags))


def _needed() -> set[str]:
    """NEEDED, and what install.sh wrote beside the library when it built for more."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        return set(NEEDED)
    try:
        noted = (Path(found.origin).parent / "lib" / "needs").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return set(NEEDED)
    return {*NEEDED, *noted.split()}


class Encoder:
    """A BERT classifier in this process. Its file must have been read and found whole before:
    llama.cpp may end the process at a bad one. Raises AcrError.
    """

    def __init__(self, path: Path, longest: int) -> None:
        llama_cpp = self._lib = _bindings()
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


def find(name: str) -> Path:
    """The file of a chat model: a path, or hf:OWNER/REPOSITORY/FILE, fetched once and kept.

    Raises SettingsError when there is none.
    """
    if not name.startswith(HUB):
        path = Path(name).expanduser()
        check(path)
        return path
    owner, _, rest = name.removeprefix(HUB).partition("/")
    repository, _, file = rest.partition("/")
    if not file:
        raise SettingsError(f"{name}: name the file as well: {HUB}OWNER/REPOSITORY/FILE.gguf")
    try:
        path = _fetched(f"{owner}/{repository}", file)
    except Exception as e:  # every layer below it raises kinds of its own
        why = (str(e).strip() or type(e).__name__).splitlines()[0]
        raise SettingsError(
            f"{name} cannot be fetched ({why[:120]}); download it yourself and name its path"
        ) from None
    check(path)
    return path


def _fetched(repository: str, file: str) -> Path:
    """A file of the hub, from acr's cache when it is there. Raises whatever goes wrong."""
    import urllib.parse
    import urllib.request

    from huggingface_hub import constants, hf_hub_download

    kept = settings.folder("cache", "models")
    with contextlib.suppress(FileNotFoundError):
        return Path(hf_hub_download(repository, file, cache_dir=kept, local_files_only=True))
    if not urllib.request.getproxies():  # fails at once, where the hub's client tries for long
        socket.getaddrinfo(urllib.parse.urlsplit(constants.ENDPOINT).hostname, 443)
    return Path(hf_hub_download(repository, file, cache_dir=kept))


def answer(model: Path, prompt: str) -> str:
    """What a chat model replies, at temperature 0, as one JSON object.

    Raises AcrError when there is no reply.
    """
    return _asked(model, {"prompt": prompt}, PATIENCE)


def odds(model: Path, prompts: Sequence[str], letters: int, patience: float) -> list[list[float]]:
    """Per prompt, the log probability of each of the first `letters` capitals as the reply.

    What else a chat model could say first is left out of account. Raises AcrError when it has no
    answer within `patience` seconds.
    """
    said = _asked(model, {"prompts": list(prompts), "letters": letters}, patience)
    found: list[list[float]] = json.loads(said)
    return found


def _asked(model: Path, request: dict[str, Any], patience: float) -> str:
    """The reply of a process of its own: llama.cpp ends the whole process at what it cannot read.

    Raises AcrError when there is none.
    """
    command = [sys.executable, "-I", "-m", __name__]
    try:
        done = subprocess.run(
            command,
            input=json.dumps({"model": str(model), **request}),
            capture_output=True,
            text=True,
            timeout=patience,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise AcrError(
            f"{model.name} gave no answer in {patience:g} s; use a smaller one"
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
        if "letters" in asked:
            return json.dumps([_first(model, p, asked["letters"]) for p in asked["prompts"]])
        said: Any = _chat(
            model, asked["prompt"], response_format={"type": "json_object"}, max_tokens=REPLY
        )
    except (ValueError, RuntimeError) as e:
        sys.exit(str(e))
    return str(said["choices"][0]["message"]["content"])


def _chat(model: Any, prompt: str, **options: Any) -> Any:
    messages = [{"role": "user", "content": prompt}]
    return model.create_chat_completion(messages, temperature=0.0, **options)


def _first(model: Any, prompt: str, letters: int) -> list[float]:
    """Log probabilities of the capitals. Raises ValueError where they are no tokens."""
    import numpy as np

    names = [model.tokenize(bytes([65 + i]), add_bos=False) for i in range(letters)]
    ids = [name[-1] for name in names]
    if len(set(ids)) < letters:
        raise ValueError("it has no tokens for single letters")
    seen: list[Any] = []

    def look(_: Any, scores: Any) -> Any:
        seen.append(np.array(scores[ids], dtype=np.float64))
        return scores

    _chat(model, prompt, max_tokens=1, logits_processor=[look])
    top = seen[0].max()
    found: list[float] = (seen[0] - top - np.log(np.exp(seen[0] - top).sum())).tolist()
    return found


def _main() -> None:
    """Answers the JSON on stdin; llama.cpp's own words go to stderr."""
    with os.fdopen(os.dup(1), "w") as out, contextlib.redirect_stdout(sys.stderr):
        out.write(_reply(json.load(sys.stdin)))


if __name__ == "__main__":
    _main()
