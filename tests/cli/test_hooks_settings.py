"""acr hooks verify, advise, subagents and acr ingest, as people and scripts use them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from acr import hooksfile, settings
from acr.errors import SettingsError
from tests.scripted import acr
from tests.sessions.makers import note, spool, turn


def said(*args: str, cwd: Path, code: int = 0) -> str:
    done = acr(*args, cwd=cwd)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout if code == 0 else done.stderr


def test_verification_is_a_setting_of_the_repository(git_repo: Callable[..., Path]) -> None:
    root = git_repo({"a/b.txt": "x"})
    (settings.folder() / "config.toml").write_text("# mine\n[agents]\nmax_tries = 2\n")
    assert "is off" in said("hooks", "verify", cwd=root)
    said("hooks", "verify", "on", cwd=root / "a")
    assert "is on" in said("hooks", "verify", "status", cwd=root)
    assert settings.load().repositories[str(root)].verify is True
    table = json.loads((settings.home() / "cache" / "advice.json").read_text())
    assert table["roots"] == [str(root)]
    assert (settings.home() / "config.toml").read_text().startswith("# mine\n[agents]\nmax_tries")
    said("hooks", "verify", "off", "--cwd", str(root), cwd=root.parent)
    found = json.loads(said("hooks", "verify", "status", "--json", cwd=root))
    assert found == {"repository": str(root), "on": False, "reason": "verification is off here"}


def test_advice_is_switched(tmp_path: Path, home: Path) -> None:
    assert "advice is off" in said("hooks", "advise", cwd=tmp_path)
    assert said("hooks", "advise", "on", cwd=tmp_path) == "advice is on\n"
    assert hooksfile.load().advise
    assert (home / "cache" / "advice.json").exists()
    assert json.loads(said("hooks", "advise", "status", "--json", cwd=tmp_path)) == {
        "on": True,
        "lines": [],
    }
    said("hooks", "advise", "off", cwd=tmp_path)
    assert not hooksfile.load().advise


def test_routing_of_sub_agents_needs_a_pool_and_gives_a_reason(tmp_path: Path) -> None:
    assert "which models?" in said("hooks", "subagents", "on", cwd=tmp_path, code=2)
    for wrong in ("gemini=x", "claude", "claude=", "=haiku"):
        assert wrong in said("hooks", "subagents", "on", wrong, cwd=tmp_path, code=2)
    said("hooks", "subagents", "on", "claude=haiku, sonnet", cwd=tmp_path)
    said("hooks", "subagents", "off", cwd=tmp_path)
    said("hooks", "subagents", "on", "codex=gpt-6-luna", cwd=tmp_path)
    found = json.loads(said("hooks", "subagents", "status", "--json", cwd=tmp_path))
    assert found["on"] is True
    assert found["pool"] == {"claude": ["haiku", "sonnet"], "codex": ["gpt-6-luna"]}
    assert found["choices"]["claude"][""]["model"] == "haiku"
    assert "nothing is known yet" in said("hooks", "subagents", cwd=tmp_path)


def test_what_the_installer_wrote_is_kept(tmp_path: Path) -> None:
    hooksfile.change(python="/usr/bin/python3")
    said("hooks", "advise", "on", cwd=tmp_path)
    assert hooksfile.load().python == "/usr/bin/python3"
    assert hooksfile.path().stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["{", "[]", '{"advise": 1}', '{"pool": []}', "\xff"])
def test_a_broken_file_is_named_and_left_alone(text: str, tmp_path: Path) -> None:
    settings.folder()
    hooksfile.path().write_text(text, encoding="latin-1")
    with pytest.raises(SettingsError, match=r"hooks\.json"):
        hooksfile.load()
    assert "hooks.json" in said("hooks", "advise", "on", cwd=tmp_path, code=1)
    assert hooksfile.path().read_text(encoding="latin-1") == text


def test_ingest_says_what_it_learned(tmp_path: Path) -> None:
    assert said("ingest", cwd=tmp_path) == "0 turns learned\n"
    spool(*turn("fix it", "t1", cwd=str(tmp_path)), *turn("it still fails", "t2"))
    assert said("ingest", cwd=tmp_path) == "2 turns learned · 1 lowered by a complaint\n"
    spool(note("prompt", prompt="more", t=4e9))
    found = json.loads(said("ingest", "--json", cwd=tmp_path))
    assert found == {"stored": 0, "lowered": 0, "waiting": 1, "problems": []}


def test_what_a_session_left_is_shown_like_any_run(tmp_path: Path) -> None:
    spool(*turn("fix the failing test", "t1", cwd=str(tmp_path), model="m1"))
    said("ingest", cwd=tmp_path)
    assert "m1" in said("stats", cwd=tmp_path)
    assert "fix the failing test" in said("runs", cwd=tmp_path)
    assert "claude/m1" in said("runs", "show", cwd=tmp_path)
    assert "no stored decision" in said("why", cwd=tmp_path, code=1)
    assert "fail" in said("bad", cwd=tmp_path)
    assert "fix the failing" in said("memory", "search", "failing test", cwd=tmp_path)
