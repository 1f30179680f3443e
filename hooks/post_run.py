#!/usr/bin/env python3
"""acr's post-run hook: how well did the attempt go?

The loop calls `post_run` after each attempt. Run as a script it does the same for the changes
since the last commit: python hooks/post_run.py < attempt.json, where attempt.json is
{"attempt": {...} or null, "cwd": "/path/of/the/repository"}; it prints the verdict as JSON.
Hooks of your own ([[hooks.post_run]] in config.toml) get the same JSON and print a Signal:
{"name": "lint", "score": 0.9, "weight": 0.1, "detail": "2 warnings"}.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

from acr.errors import AcrError
from acr.nouns import Attempt, Snapshot, Task, Verdict, from_json, to_json
from acr.verifier.verdict import Baseline


def post_run(
    baseline: Baseline,
    task: Task,
    attempt: Attempt | None,
    after: Snapshot,
    progress: Callable[[str], None],
) -> Verdict:
    """Compares the tests before (`baseline`) and `after` the attempt."""
    return baseline.judge(task, attempt, after, progress)


def main() -> None:
    """Verifies the changes since the last commit for the attempt on stdin."""
    from acr.cli.verify import verify_changes

    try:
        asked = json.load(sys.stdin)
        attempt, cwd = from_json(Attempt, asked["attempt"]), Path(asked["cwd"])
        verdict = verify_changes(cwd, attempt=attempt, verify=post_run)
    except (ValueError, KeyError, TypeError) as e:
        sys.exit(f'post_run: expected {{"attempt": …, "cwd": …}} on stdin: {e!r}')
    except AcrError as e:
        sys.exit(f"post_run: {e}")
    json.dump(to_json(verdict), sys.stdout)


if __name__ == "__main__":
    main()
