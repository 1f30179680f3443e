"""llama.cpp is reported as it is: usable, absent or broken, with what to do."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ASK = "from acr.orchestrator.llama import available; print(*available())"


def ask(folder: Path, source: str) -> str:
    """What available() says in a process that finds `source` as llama_cpp."""
    (folder / "llama_cpp").mkdir()
    (folder / "llama_cpp" / "__init__.py").write_text(source)
    done = subprocess.run(
        [sys.executable, "-c", ASK],
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_a_library_that_starts_is_available_with_its_version(tmp_path: Path) -> None:
    source = "__version__ = '0.3.36'\ndef llama_backend_init(): pass\n"
    assert ask(tmp_path, source) == "True llama-cpp-python 0.3.36\n"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("raise ModuleNotFoundError('no llama_cpp', name='llama_cpp')", "is not installed"),
        ("import a_missing_dependency", "is incomplete"),
        ("raise OSError('libggml.so: cannot open')", "cannot load its library (libggml.so"),
        ("raise RuntimeError('illegal instruction')", "cannot load its library"),
        ("def llama_backend_init(): raise OSError('no')", "cannot load its library (no)"),
    ],
)
def test_one_that_does_not_is_told_with_a_fix(tmp_path: Path, source: str, words: str) -> None:
    said = ask(tmp_path, source)
    assert said.startswith("False ")
    assert words in said
    assert "acr works without it" in said
    assert said.count("\n") == 1


@pytest.mark.skipif(
    importlib.util.find_spec("llama_cpp") is None, reason="llama-cpp-python is not installed"
)
def test_the_installed_one_answers() -> None:
    from acr.orchestrator.llama import available

    usable, words = available()
    assert isinstance(usable, bool)
    assert words.startswith("llama-cpp-python")
