"""acr gateway evaluate with a real agent: both arms, money, the cap."""

from __future__ import annotations

import json
from pathlib import Path

from tests.gateway.conftest import tier_map
from tests.real_agents.test_gateway import STEPS, Repo, Serve, profile
from tests.real_agents.test_loop import FILES, acr


def test_two_arms_are_run_in_clones_and_compared(
    serve: Serve, git_repo: Repo, home: Path, tmp_path: Path
) -> None:
    server = serve(steps=STEPS)
    tier_map(home)
    root, made = git_repo(FILES), profile("claude")
    tasks = tmp_path / "tasks.jsonl"
    tasks.write_text('{"prompt": "fix the failing test"}\n')
    asked = ["gateway", "evaluate", str(tasks), "--profile", made.name, "--rounds", "1", "--yes"]
    told = json.loads(acr(*asked, "--budget", "5", "--json", cwd=root).stdout)
    assert {arm: told["arms"][arm]["n"] for arm in told["arms"]} == {"as-asked": 1, "steps": 1}
    assert told["saving"] is None
    assert told["stopped"] is None
    assert told["spent_usd"] > 0
    assert {r.model for r in server.requests if r.tools} > {"mock-big"}
    assert (root / "calc.py").read_text() == FILES["calc.py"]
    done = acr(*asked, "--budget", "0.000001", "--json", cwd=root, check=False)
    assert done.returncode == 1
    assert "budget" in done.stderr
