"""The hook notes what matters in one line, says nothing, and never fails an agent."""

from __future__ import annotations

import fcntl
import json
import os
import resource
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import platformdirs
import pytest

from acr import hooksfile, settings
from tests.conftest import git
from tests.hooks import scripts
from tests.hooks.scripts import PAYLOADS, noted, payload, run, silent

NOBODY = 65534


def advised(home: Path) -> None:
    """Advice and routing are on, and have something to say."""
    hooksfile.change(advise=True, subagents=True, pool={"claude": ("haiku", "sonnet")})
    table = {
        "words": {"bug_fixing": ["fix"], "code_generation": ["write a"]},
        "lines": {"bug_fixing": {"opus": "take another"}},
        "sessions": {"95ed36ff": ["bug_fixing", "opus"]},
        "models": {"claude": "sonnet"},
        "subagents": {"claude": {"": ["haiku", "the first"], "bug_fixing": ["sonnet", "3 of 3"]}},
    }
    (home / "cache").mkdir(exist_ok=True)
    (home / "cache" / "advice.json").write_text(json.dumps(table))


@pytest.mark.parametrize("event", PAYLOADS)
def test_an_event_is_one_private_line(event: str, home: Path) -> None:
    assert silent(run(event))
    if event == "PreToolUse":
        assert not home.exists()
        return
    (line,) = noted()
    assert line["session_id"] == "95ed36ff"
    assert (line["agent"], line["event"]) == ("claude", event)
    assert stat.S_IMODE((home / "spool" / "events.jsonl").stat().st_mode) == 0o600
    assert stat.S_IMODE((home / "spool").stat().st_mode) == 0o700
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


def test_what_was_read_and_searched_is_not_noted(home: Path) -> None:
    for name in ("Read", "Grep", "WebFetch"):
        for event in ("PreToolUse", "PostToolUse"):
            assert silent(run(event, payload(event, tool_name=name, tool_input={"path": "a"})))
    assert not home.exists()


def test_of_an_edit_the_path_is_noted_and_not_the_text(home: Path) -> None:
    given = {"file_path": "/repo/a.py", "old_string": "canary", "new_string": "canary"}
    run("PostToolUse", payload("PostToolUse", tool_name="Edit", tool_input=given))
    (line,) = noted()
    assert line["path"] == "/repo/a.py"
    assert "canary" not in json.dumps(line)


def test_big_payloads_are_cut_to_what_is_needed(home: Path) -> None:
    long = "x" * 1_000_000
    run("UserPromptSubmit", payload("UserPromptSubmit", prompt=long))
    run("PostToolUse", payload("PostToolUse", tool_response={"stdout": long}))
    run("Stop", payload("Stop", last_assistant_message=long))
    assert len(noted()) == 3
    assert (home / "spool" / "events.jsonl").stat().st_size < 64_000


def test_a_spool_that_nobody_reads_stops_growing(home: Path) -> None:
    run("Stop")
    os.truncate(home / "spool" / "events.jsonl", 64 << 20)
    assert silent(run("Stop"))
    assert (home / "spool" / "events.jsonl").stat().st_size == 64 << 20


@pytest.mark.parametrize("linked", [False, True])
def test_the_commit_that_a_prompt_finds_is_noted(
    linked: bool, git_repo: Callable[..., Path], tmp_path: Path
) -> None:
    root = git_repo({"a/b.txt": "x"})
    head = git(root, "rev-parse", "HEAD").strip()
    if linked:
        git(root, "worktree", "add", "-q", str(tmp_path / "linked"))
        root = tmp_path / "linked"
    run("UserPromptSubmit", payload("UserPromptSubmit", cwd=str(root / "a")))
    git(root, "pack-refs", "--all")
    run("UserPromptSubmit", payload("UserPromptSubmit", cwd=str(root)))
    git(root, "checkout", "-q", "--detach")
    run("UserPromptSubmit", payload("UserPromptSubmit", cwd=str(root)))
    assert [line["commit"] for line in noted()] == [head, "", head]


def test_runs_that_acr_started_are_not_noted(home: Path) -> None:
    assert silent(run("UserPromptSubmit", ACR_ATTEMPT="a1"))
    assert not home.exists()


@pytest.mark.parametrize("data", [None, "/data", "relative"])
def test_the_folder_is_the_one_that_acr_has(
    data: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ACR_HOME")
    if data:
        monkeypatch.setenv("XDG_DATA_HOME", f"{tmp_path}{data}" if data[0] == "/" else data)
    assert silent(run("Stop"))
    assert settings.home().is_relative_to(tmp_path)
    assert len(noted()) == 1


def test_on_a_mac_the_folder_is_the_one_that_acr_has_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ACR_HOME")
    code = (
        f"import sys; sys.platform = 'darwin'; sys.path.insert(0, {str(scripts.SCRIPT.parent)!r})\n"
        "import acr_hook; print(acr_hook.home())"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    from platformdirs.macos import MacOS

    assert said.stdout.strip() == MacOS("acr", appauthor=False).user_data_dir
    assert platformdirs.user_data_dir("acr", appauthor=False) != said.stdout.strip()


@pytest.mark.parametrize("event", PAYLOADS)
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"null",
        b"[1, 2]",
        b'"text"',
        b'{"session_id": ',
        b"\x00\xff\xfe" * 1000,
        b'{"session_id": 7, "cwd": [], "prompt": {"a": 1}, "tool_input": 3, "tool_name": null}',
        b"[" * 100_000,
        b'{"prompt": "' + b"y" * (9 << 20) + b'"}',
        '{"session_id": "s", "prompt": "\ud800"}'.encode("utf-8", "surrogatepass"),
    ],
    ids=lambda data: f"{bytes(data[:12])!r}",
)
def test_whatever_comes_on_standard_input_the_agent_notices_nothing(
    event: str, data: bytes, home: Path
) -> None:
    settings.folder()
    advised(home)
    assert silent(run(event, data))


def _limited() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def _made(file: Path) -> Path:
    """The file, in a folder that is there."""
    file.parent.mkdir(parents=True, exist_ok=True)
    return file


def _spool(home: Path) -> Path:
    (home / "spool").mkdir(parents=True)
    return home / "spool"


BROKEN: dict[str, Callable[[Path], Any]] = {
    "the home is a file": lambda home: home.write_text(""),
    "the home is a dangling link": lambda home: home.symlink_to("/nonexistent/x"),
    "the spool is a file": lambda home: _made(home / "spool").write_text(""),
    "the events are a folder": lambda home: (_spool(home) / "events.jsonl").mkdir(),
    "the events are a pipe": lambda home: os.mkfifo(_spool(home) / "events.jsonl"),
    "the events are a full device": lambda home: (_spool(home) / "events.jsonl").symlink_to(
        "/dev/full"
    ),
    "the database is broken": lambda home: _made(home / "memory.db").write_text("x"),
    "hooks.json is broken": lambda home: _made(home / "hooks.json").write_text("{"),
    "hooks.json is odd": lambda home: _made(home / "hooks.json").write_text('{"pool":1}'),
    "no python is there": lambda _: hooksfile.change(python="/nonexistent/python"),
    "the python fails": lambda _: hooksfile.change(python="/bin/false"),
    "advice is broken": lambda home: (
        hooksfile.change(advise=True, subagents=True, pool={"claude": ("haiku",)}),
        _made(home / "cache" / "advice.json").write_text('{"lines": 3'),
    ),
}


@pytest.mark.parametrize("event", ["UserPromptSubmit", "PostToolUse", "PreToolUse", "Stop"])
@pytest.mark.parametrize("broken", BROKEN)
def test_whatever_is_broken_the_agent_notices_nothing(broken: str, event: str, home: Path) -> None:
    BROKEN[broken](home)
    assert silent(run(event))


@pytest.mark.parametrize("event", ["UserPromptSubmit", "Stop"])
def test_a_full_disk_is_the_agents_trouble_only_where_it_is_its_own(event: str, home: Path) -> None:
    done = subprocess.run(
        scripts.command(event),
        input=payload(event),
        capture_output=True,
        preexec_fn=_limited,
        check=False,
    )
    assert silent(done)
    assert noted() == []


def test_a_line_that_a_full_disk_cut_off_takes_no_other_with_it(home: Path) -> None:
    run("Stop")
    with (home / "spool" / "events.jsonl").open("ab") as file:
        file.write(b'\n{"kind": "prompt", "agent": "cl')
    run("Stop")
    whole = [x for x in (home / "spool" / "events.jsonl").read_bytes().splitlines() if x]
    assert len(whole) == 3
    assert json.loads(whole[0])["kind"] == json.loads(whole[2])["kind"] == "stop"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
def test_without_permission_the_agent_notices_nothing(home: Path, tmp_path: Path) -> None:
    script = Path("/var/tmp") / f"acr-hook-{os.getpid()}.py"
    script.write_text(scripts.SCRIPT.read_text())
    script.chmod(0o644)
    home.mkdir(mode=0o700)
    python = os.path.realpath("/usr/bin/python3")
    try:
        done = subprocess.run(
            [python, "-I", "-S", str(script), "claude", "Stop", "--acr-hook"],
            input=payload("Stop"),
            capture_output=True,
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
            cwd="/",
            check=False,
        )
    finally:
        script.unlink()
    assert silent(done)
    assert not (home / "spool").exists()


def test_a_locked_spool_is_written_around(home: Path) -> None:
    run("Stop")
    with (home / "spool" / "events.jsonl").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert silent(run("Stop"))
    assert len(noted()) == 2
    assert len(list((home / "spool").iterdir())) == 2


@pytest.mark.parametrize("closing", ["<&-", ">&-", "<&- >&- 2>&-", ">/dev/full"])
@pytest.mark.parametrize("event", PAYLOADS)
def test_closed_streams_are_no_trouble(event: str, closing: str, home: Path) -> None:
    settings.folder()
    advised(home)
    line = " ".join(scripts.command(event))
    done = subprocess.run(
        ["sh", "-c", f"{line} {closing}"], input=payload(event), capture_output=True, check=False
    )
    assert silent(done)


def test_a_standard_input_without_an_end_is_given_up() -> None:
    with subprocess.Popen(
        scripts.command("Stop"), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdin
        child.stdin.write(b'{"session_id"')
        child.stdin.flush()
        assert child.wait(30) == 0


def test_without_arguments_nothing_happens(home: Path) -> None:
    done = subprocess.run(scripts.command("Stop")[:4], input=b"{}", capture_output=True, check=True)
    assert silent(done)
    assert not home.exists()


def test_advice_is_one_line_in_the_form_that_each_agent_takes(home: Path) -> None:
    settings.folder()
    advised(home)
    said = json.loads(run("UserPromptSubmit").stdout)
    line = {"hookEventName": "UserPromptSubmit", "additionalContext": "take another"}
    assert said == {"hookSpecificOutput": line}  # codex refuses any other key
    asked = payload("UserPromptSubmit", model="opus")
    assert json.loads(run("UserPromptSubmit", asked, "codex").stdout) == said
    asked = payload("UserPromptSubmit", prompt="write a parser", model="opus")
    assert silent(run("UserPromptSubmit", asked, "codex"))
    assert silent(run("UserPromptSubmit", payload("UserPromptSubmit", agent_id="a"), "codex"))
    hooksfile.change(advise=False)
    assert silent(run("UserPromptSubmit"))


@pytest.mark.parametrize(
    ("given", "model"),
    [
        ({"prompt": "fix the parser"}, "sonnet"),
        ({"prompt": "look around", "model": "opus"}, "sonnet"),
        ({"prompt": "look around", "model": "haiku"}, None),
    ],
)
def test_a_sub_agent_gets_a_model_of_the_pool(
    given: dict[str, str], model: str | None, home: Path
) -> None:
    settings.folder()
    advised(home)
    done = run("PreToolUse", payload("PreToolUse", tool_name="Agent", tool_input=given))
    if model is None:
        assert silent(done)
        return
    output = json.loads(done.stdout)["hookSpecificOutput"]
    assert output["updatedInput"] == {**given, "model": model}
    assert output["permissionDecision"] == "allow"
    assert output["permissionDecisionReason"] == "acr: sonnet, 3 of 3"
    (line,) = noted()
    assert (line["routed"], line["why"]) == ("sonnet", "3 of 3")


def test_other_tools_are_left_alone(home: Path) -> None:
    settings.folder()
    advised(home)
    assert silent(run("PreToolUse"))
    assert silent(run("PreToolUse", payload("PreToolUse", tool_name="spawn_agent")))


@pytest.mark.parametrize("event", ["Stop", "SessionEnd", "UserPromptSubmit"])
def test_the_ingest_that_a_hook_starts_holds_no_pipe_and_has_a_session_of_its_own(
    event: str, home: Path, tmp_path: Path
) -> None:
    fake, out = tmp_path / "python", tmp_path / "out"
    fake.write_text(
        "#!/bin/sh\n"
        f'{{ echo "$@"; pwd; ps -o sid= -p $$; echo $$; ls -l /proc/$$/fd; }} > {out}.part\n'
        f"mv {out}.part {out}\nexec sleep 60 < /dev/null\n"
    )
    fake.chmod(0o755)
    hooksfile.change(python=str(fake))
    (home / "cache").mkdir()
    (home / "cache" / "advice.json").write_text('{"roots": ["/home/user/repo"]}')
    assert silent(run("UserPromptSubmit", payload("UserPromptSubmit", cwd="/home/user/repo2")))
    assert not out.exists()
    assert silent(run(event))  # returns at once: nobody else holds its pipes
    limit = time.monotonic() + 30
    while not out.exists():
        assert time.monotonic() < limit
        time.sleep(0.01)
    said = out.read_text().splitlines()
    os.kill(int(said[3]), 9)
    assert said[:2] == ["-m acr ingest", "/"]
    assert int(said[2]) == int(said[3])
    assert not any("pipe:" in line for line in said[4:])
