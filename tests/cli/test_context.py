"""acr context, acr classify and acr sandbox show each part alone."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from acr.cli.main import run
from tests import scripted


def test_context_shows_what_was_found_and_why(
    git_repo: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    root = git_repo({"pytest.ini": "[pytest]\n", "a.py": "x = 1\n", "tests/test_a.py": ""})
    (root / "a.py").write_text("x = 2\n")
    assert run(["context", "--cwd", str(root)]) == 0
    shown = capsys.readouterr().out
    assert "with uncommitted changes" in shown
    assert "python 100%" in shown
    assert "-m pytest (pytest.ini)" in shown
    assert "identity: first commit" in shown


def test_context_as_json(git_repo: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    root = git_repo({"go.mod": "module x\n", "x.go": "package x\n"})
    assert run(["context", "--json", "--cwd", str(root)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["test"]["kind"] == "go"
    assert told["dirty"] is False


def test_the_test_command_of_the_settings_wins(
    git_repo: Callable[..., Path], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = git_repo({"go.mod": "module x\n"})
    home.mkdir()
    (home / "config.toml").write_text(f'[repositories."{root}"]\ntest = "./check"\n')
    assert run(["context", "--json", "--cwd", str(root)]) == 0
    assert json.loads(capsys.readouterr().out)["test"]["argv"] == ["sh", "-c", "./check"]


def test_classify_shows_one_prompt(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["classify", "--json", "write unit tests for the parser"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["dimension"] == "test_generation"
    assert set(told) >= {"confidence", "scores", "language", "difficulty"}
    assert sum(told["scores"].values()) == pytest.approx(1, abs=0.01)


def test_classify_reads_and_writes_json_lines_in_order(tmp_path: Path) -> None:
    prompts = ["fix the crash on startup", "explain what this does", "write tests for a.py"]
    lines = "".join(json.dumps({"prompt": p, "id": 1}) + "\n" for p in prompts)
    done = scripted.acr("classify", "--jsonl", "-", cwd=tmp_path, stdin=lines)
    told = [json.loads(line)["dimension"] for line in done.stdout.splitlines()]
    assert told == ["bug_fixing", "code_understanding", "test_generation"]


@pytest.mark.parametrize("line", ["{", "[]", '{"prompt": 3}', '{"text": "x"}'])
def test_a_line_that_is_no_prompt_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    file = tmp_path / "prompts.jsonl"
    file.write_text('{"prompt": "fix it"}\n' + line + "\n")
    assert run(["classify", "--jsonl", str(file)]) == 1
    said = capsys.readouterr().err
    assert f"{file}:2: " in said
    assert said.count("\n") == 1


def test_json_lines_may_be_of_any_text_and_come_from_one_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = scripted.acr(
        "classify", "--jsonl", "-f", "-", cwd=tmp_path, stdin='{"prompt": "fix \\ud800"}\n'
    )
    assert json.loads(done.stdout)["dimension"] == "bug_fixing"
    assert run(["classify", "--jsonl", "a.jsonl", "-f", "b.jsonl"]) == 2
    assert "leave one of them out" in capsys.readouterr().err
    assert run(["classify", "--jsonl", str(tmp_path / "none")]) == 1
    assert f"{tmp_path / 'none'}: No such file" in capsys.readouterr().err


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    file = tmp_path / "prompts.jsonl"
    file.write_text('{"prompt": "fix it"}\n' * 400)
    done = subprocess.run(
        f"set -o pipefail; {sys.executable} -m acr classify --jsonl {file} | head -1",
        shell=True,
        executable="bash",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


def test_a_prompt_file_that_is_missing_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["classify", "-f", "/no/such/file"]) == 2
    assert "/no/such/file" in capsys.readouterr().err
