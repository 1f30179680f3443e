"""llama.cpp is reported as it is: usable, absent or broken, with what to do."""

from __future__ import annotations

import importlib.util
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

ASK = "from acr.orchestrator.llama import available; print(*available())"


def ask(folder: Path, source: str, question: str = ASK) -> str:
    """The answer of a process that finds `source` as llama.cpp's functions."""
    package = folder / "llama_cpp"
    package.mkdir(exist_ok=True)
    (package / "__init__.py").write_text("import what_takes_long\n\n__version__ = '0.3.36'\n")
    (package / "llama_cpp.py").write_text(source)
    done = subprocess.run(
        [sys.executable, "-c", question],
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_a_library_that_starts_is_available_with_its_version(tmp_path: Path) -> None:
    source = "def llama_backend_init(): pass\n"
    assert ask(tmp_path, source) == "True llama-cpp-python 0.3.36\n"


@pytest.mark.parametrize(
    ("about", "missing"),
    [
        ("flags\t\t: fpu sse4_2 avx f16c fma\n", ["avx2"]),
        ("flags\t\t: fpu sse2\n", ["avx2", "f16c", "fma"]),
        ("flags\t\t: avx2 f16c fma\n", []),
        ("vendor_id : unknown\n", []),
        ("", []),
    ],
)
def test_a_processor_that_the_build_would_die_on_is_told(
    tmp_path: Path, about: str, missing: list[str]
) -> None:
    (tmp_path / "cpuinfo").write_text(about)
    (tmp_path / "llama_cpp.py").touch()  # a build that notes no needs of its own
    question = (
        "import platform; platform.machine = lambda: 'x86_64'; from pathlib import Path\n"
        "from acr.orchestrator import llama; print(llama._lacks(Path('cpuinfo').absolute()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", question], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{missing}\n"


def test_a_build_for_more_than_the_processor_has_is_not_loaded(tmp_path: Path) -> None:
    (tmp_path / "llama_cpp" / "lib").mkdir(parents=True)
    (tmp_path / "llama_cpp" / "lib" / "needs").write_text("avx2 avx1024f\n")
    said = ask(tmp_path, "raise SystemExit('an illegal instruction')")
    if platform.machine() == "x86_64":
        assert said.startswith("False this processor has no avx1024f; acr works without")


@pytest.mark.parametrize("wide", [True, False])
def test_a_build_says_whether_it_computes_with_avx512(tmp_path: Path, wide: bool) -> None:
    said = f"AVX2 = 1 | AVX512_VNNI = {int(wide)} |"
    source = f"def llama_print_system_info(): return b'{said}'\n"
    question = (
        "import platform; platform.machine = lambda: 'x86_64'\n"
        "from acr.orchestrator.llama import wide; print(wide())"
    )
    assert ask(tmp_path, source, question) == f"{wide}\n"


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
