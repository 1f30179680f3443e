"""Which changes touch how the result is judged: tests and the runner's own configuration."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["judging_files", "restorable"]

TESTS = re.compile(
    r"(^|/)(tests?|__tests__|spec)/|(^|/)(test_[^/]*|[^/]*_test|[^/]*[._-](test|spec))\.\w+$"
    r"|(^|/)src/test/"
)
RUNNER = re.compile(
    r"(^|/)(conftest\.py|pytest\.ini|tox\.ini|noxfile\.py|sitecustomize\.py|\.?mocharc[^/]*|"
    r"(jest|vitest|karma|playwright)\.config\.\w+)$"
)
LISTED = re.compile(
    r"(^|/)(pyproject\.toml|setup\.cfg|package\.json|Makefile|Cargo\.toml|go\.mod|pom\.xml|"
    r"build\.gradle(\.kts)?|[^/]*lock[^/]*|\.github/.*|\.gitlab-ci\.yml)$"
)


def restorable(paths: Iterable[str]) -> tuple[str, ...]:
    """Tests and files that only configure the runner: their base versions decide."""
    return tuple(p for p in paths if TESTS.search(p) or RUNNER.search(p))


def judging_files(paths: Iterable[str]) -> tuple[str, ...]:
    """Everything that is named in a verdict because it bears on it."""
    return tuple(p for p in paths if any(r.search(p) for r in (TESTS, RUNNER, LISTED)))
