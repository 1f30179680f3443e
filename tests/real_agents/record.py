"""Records runs of the real agents for tests of usage: python -m tests.real_agents.record [NAME]...

Each file in tests/agents/golden/usage holds what one run printed, what it left on disk, and what
the model server says it served meanwhile. Paths, and texts longer than a line, are cut.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from acr.agents import Reader, Report, Request, get, process
from acr.nouns import Event, Profile
from tests.model_server import Asked, ModelServer, Step, Tokens
from tests.real_agents import conftest

FOLDER = Path(__file__).parents[1] / "agents" / "golden" / "usage"
LONGEST = 160
"""Characters of a text that are kept; figures and ids are shorter."""
LEFT = {
    "codex": (".codex/sessions/**/*.jsonl",),
    "claude": (".claude/projects/**/*.jsonl",),
    "opencode": (),
    "gemini": (".gemini/tmp/*/chats/**/*.jsonl",),
    "qwen": (),
}
"""Agent -> files below its home that tell usage."""
TELLING = {
    "codex": ("session_meta", "turn_context", "token_usage_record"),
    "claude": ("assistant",),
    "gemini": ("gemini",),
}
"""Types of their lines that are kept, with lines that have no type and begin a file."""
NOISE = ("user", "stream_event")
"""Types of printed lines that are not kept."""
TABLES = {
    "session": ("id", "parent_id", "directory", "time_updated"),
    "message": ("id", "session_id", "time_created", "data"),
}
"""Of opencode's database."""

CODEX = Profile("codex-mock", "codex", "mock-big", "mid", effort="high")
CLAUDE = Profile("claude-sonnet", "claude", "claude-sonnet-5-5", "mid", effort="high")
OPENCODE = Profile("opencode-mock", "opencode", "mock/priced", "mid", effort="high")
GEMINI = Profile("gemini-mock", "gemini", "gemini-3.5-flash", "mid")
QWEN = Profile("qwen-mock", "qwen", "mock-big", "mid")


def _used(n: int) -> dict[str, int]:
    """Tokens that tell which request they are of."""
    written = {"written": 7 * n} if n % 2 else {}
    return {"input": 1000 + 100 * n, "cached": 10 * n, "output": 50 + n, "reasoning": n, **written}


LOOP = (
    *(Step("Step by step.", shell=f"echo {n} >> log.txt", usage=_used(n)) for n in range(1, 5)),
    Step("All done", usage=_used(5)),
)
"""Four calls of a tool, each after a text, so that one answer has several blocks."""
AGAIN = (Step(shell="echo again >> log.txt", usage=_used(6)), Step("Again", usage=_used(7)))
SPAWN: dict[str, Step] = {
    "codex": Step(
        tool="spawn_agent",
        args={"message": "Do the SUBTASK", "agent_type": "default", "model": "gpt-6-luna"},
        usage=_used(8),
    ),
    "claude": Step(
        tool="Task",
        args={
            "description": "help",
            "prompt": "Do the SUBTASK",
            "subagent_type": "general-purpose",
            "model": "haiku",
            "run_in_background": False,
        },
        usage=_used(8),
    ),
    "opencode": Step(
        tool="task",
        args={"description": "help", "prompt": "Do the SUBTASK", "subagent_type": "general"},
        usage=_used(8),
    ),
    "gemini": Step(
        tool="invoke_agent",
        args={"agent_name": "generalist", "prompt": "Do the SUBTASK"},
        usage=_used(8),
    ),
    "qwen": Step(
        tool="agent",
        args={
            "description": "help",
            "prompt": "Do the SUBTASK",
            "subagent_type": "general-purpose",
        },
        usage=_used(8),
    ),
}
ENDS = {
    "gemini": Step(tool="complete_task", args={"result": {"response": "sub done"}}, usage=_used(11))
}
"""How a sub-agent's last answer looks where a text does not end it."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One run to record; `first` runs before it in the same session and is not recorded."""

    profile: Profile
    steps: Sequence[Step]
    prompt: str = "Do it"
    first: bool = False
    by_prompt: Mapping[str, Sequence[Step]] = field(default_factory=dict)
    answers_as: Mapping[str, str] = field(default_factory=dict)


def scenarios() -> dict[str, Scenario]:
    """Name -> what is recorded."""
    found: dict[str, Scenario] = {}
    for profile in (CODEX, CLAUDE, OPENCODE, GEMINI, QWEN):
        agent = profile.agent
        found[f"{agent}-loop"] = Scenario(profile, LOOP)
        found[f"{agent}-resumed"] = Scenario(
            profile, LOOP, "And AGAIN", first=True, by_prompt={"AGAIN": AGAIN}
        )
        work = Step(shell="echo sub >> log.txt", usage=_used(10))
        sub = (work, ENDS.get(agent, Step("sub done", usage=_used(11))))
        found[f"{agent}-subagent"] = Scenario(
            profile,
            (SPAWN[agent], Step("done", delay=4 * (agent == "codex"), usage=_used(9))),
            by_prompt={"completed": (Step("done", usage=_used(12)),), "SUBTASK": sub},
        )
        dated = f"{profile.model.rpartition('/')[2]}-20261101"
        found[f"{agent}-renamed"] = Scenario(
            profile, LOOP[-1:], answers_as={profile.model.rpartition("/")[2]: dated}
        )
    return found


def record(name: str, scenario: Scenario) -> dict[str, Any]:
    """Runs it, and returns what is to be kept."""
    with _home() as home, pytest.MonkeyPatch.context() as patch:
        work = home / "project"
        work.mkdir()
        server = _serve(home, patch, scenario)
        try:
            request = _request(scenario, home, "one")
            if scenario.first:
                session = process.run(get(scenario.profile.agent), request, _quiet).session
                time.sleep(1.1)  # so that no clock takes the one run for the other
                server.requests.clear()
                request = _request(scenario, home, "two", scenario.prompt, session)
            agent, started = _Recorded(get(scenario.profile.agent)), time.time()
            attempt = process.run(agent, request, _quiet)
            served = [_served(asked, server) for asked in server.requests]
        finally:
            server.stop()
        kept = {
            "profile": scenario.profile.name,
            "attempt": request.attempt,
            "started": started,
            "resume": request.resume,
            "status": attempt.status,
            "served": served,
            "stdout": _printed(agent.lines),
            "files": _files(home, scenario.profile.agent),
            "tables": _tables(home / ".local/share/opencode/opencode.db"),
        }
        text = json.dumps(kept, indent=1, ensure_ascii=False)
        return dict(json.loads(text.replace(str(work), "/repo").replace(str(home), "/home/user")))


class _Recorded:
    """An agent whose output is kept."""

    def __init__(self, agent: Any) -> None:
        self._agent = agent
        self.lines: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._agent, name)

    def reader(self, request: Request) -> Reader:
        inner, lines = self._agent.reader(request), self.lines

        class Both:
            def feed(self, line: str) -> list[Event]:
                lines.append(line)
                return list(inner.feed(line))

            def finish(self, exit_code: int, stderr: str) -> Report:
                report: Report = inner.finish(exit_code, stderr)
                return report

        return Both()


def _quiet(_: Event) -> None: ...


@contextmanager
def _home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="acr-record-", dir="/var/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _serve(home: Path, patch: pytest.MonkeyPatch, scenario: Scenario) -> ModelServer:
    server = ModelServer(
        steps=scenario.steps, by_prompt=scenario.by_prompt, answers_as=scenario.answers_as
    ).start()
    binaries = Path(os.environ["ACR_TEST_AGENTS"]) / "node_modules" / ".bin"
    patch.setenv("PATH", f"{binaries}{os.pathsep}{os.environ['PATH']}")
    patch.setenv("HOME", str(home))
    for name in [n for n in os.environ if n.startswith(("ANTHROPIC_", "CLAUDE", "OPENCODE"))]:
        patch.delenv(name)
    conftest.point(home, server.url, patch)
    return server


def _request(
    scenario: Scenario, home: Path, name: str, prompt: str = "Do it", resume: str | None = None
) -> Request:
    return Request(
        attempt=name,
        task="task",
        decision="decision",
        prompt=prompt,
        profile=scenario.profile,
        cwd=home / "project",
        autonomy="full",
        timeout=60.0,
        run_dir=home / f"run-{name}",
        resume=resume,
    )


def _served(asked: Asked, server: ModelServer) -> dict[str, Any]:
    """What one request used, as the server answered it."""
    used = Tokens(**{**server.script.usage, **server.script.step(asked).usage})
    return {
        "model": server.script.answers_as.get(asked.model, asked.model),
        "asked": asked.model,
        "subagent": "SUBTASK" in asked.prompt,
        "input": used.input - used.cached - used.written,
        "cached": used.cached,
        "written": used.written,
        "output": used.output,
        "reasoning": used.reasoning,
    }


def _printed(lines: Sequence[str]) -> list[Any]:
    rows = [_cut(json.loads(line)) if line[:1] == "{" else line for line in lines]
    return [r for r in rows if not isinstance(r, dict) or r.get("type") not in NOISE]


def _files(home: Path, agent: str) -> dict[str, list[Any]]:
    """Path below the home -> those of its lines that tell usage."""
    found: dict[str, list[Any]] = {}
    for path in sorted(p for pattern in LEFT[agent] for p in home.glob(pattern) if p.is_file()):
        rows = [_cut(json.loads(row)) for row in path.read_text("utf-8").splitlines() if row]
        name = str(path.relative_to(home)).replace(
            re.sub(r"\W", "-", str(home / "project")), "-repo"
        )
        first, *rest = rows
        found[name] = [first, *(r for r in rest if r.get("type") in TELLING[agent])]
    return found


def _tables(database: Path) -> dict[str, list[list[Any]]]:
    if not database.is_file():
        return {}
    with closing(sqlite3.connect(database)) as connection:
        found = {}
        for name, columns in TABLES.items():
            rows = connection.execute(f"SELECT {', '.join(columns)} FROM {name}").fetchall()
            found[name] = [
                [json.dumps(_cut(json.loads(v))) if c == "data" else v
                 for c, v in zip(columns, row, strict=True)]
                for row in rows
            ]  # fmt: skip
        return found


def _cut(data: Any) -> Any:
    """`data` with long texts cut and long lists of texts emptied."""
    if isinstance(data, str):
        return data if len(data) <= LONGEST else data[:LONGEST] + "…"
    if isinstance(data, list):
        return [_cut(v) for v in data] if len(data) < 20 else []
    if isinstance(data, dict):
        return {k: _cut(v) for k, v in data.items() if len(data) < 60}
    return data


def dumped(kept: Mapping[str, Any]) -> str:
    """JSON with a line for every line that was printed or left, so that changes can be read."""

    def rows(found: Sequence[Any]) -> str:
        return "[\n" + ",\n".join(json.dumps(r, ensure_ascii=False) for r in found) + "\n]"

    def one(value: Any) -> str:
        if isinstance(value, dict):
            parts = (f"{json.dumps(k)}: {rows(v)}" for k, v in value.items())
            return "{" + ",\n".join(parts) + "}"
        return rows(value) if isinstance(value, list) else json.dumps(value)

    return "{" + ",\n".join(f"{json.dumps(k)}: {one(v)}" for k, v in kept.items()) + "}\n"


def main(names: Sequence[str]) -> None:
    """Records the named scenarios, else all."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    every = scenarios()
    for name in names or every:
        kept = record(name, every[name])
        (FOLDER / f"{name}.json").write_text(dumped(kept), encoding="utf-8")
        print(f"{name}: {kept['status']}, {len(kept['served'])} requests")


if __name__ == "__main__":
    main(sys.argv[1:])
