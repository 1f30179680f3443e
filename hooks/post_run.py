"""acr's own post-run hook: verifies an attempt by running the repository's tests in a sandbox.

acr calls post_run() after every attempt. As a program it judges the working tree against HEAD:

    echo '{"cwd": "/path/of/a/repository"}' | python hooks/post_run.py

and prints the verdict as JSON. Hooks of your own go into config.toml under [[hooks.post_run]].
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

from acr.nouns import Attempt, Snapshot, Task, Verdict, to_json
from acr.verifier.verdict import Baseline


def post_run(
    baseline: Baseline,
    task: Task,
    attempt: Attempt | None,
    after: Snapshot,
    progress: Callable[[str], None],
) -> Verdict:
    """The verdict on an attempt; `baseline` was taken before it, `after` is the tree now."""
    return baseline.judge(task, attempt, after, progress)


if __name__ == "__main__":
    from acr.cli.verify import verdict_of

    print(json.dumps(to_json(verdict_of(Path(json.load(sys.stdin)["cwd"])))))
