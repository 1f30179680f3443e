"""Where an attempt is tried: private copies of the tree, an engine, the project's toolchain."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from acr import git
from acr.errors import SandboxError
from acr.nouns import Repository, Snapshot, TestCommand
from acr.settings import VerifierSettings
from acr.verifier import sandbox, workcopy
from acr.verifier.sandbox import toolchain
from acr.verifier.sandbox.engine import Job, Sandbox, SandboxResult
from acr.verifier.sandbox.toolchain import Toolchain
from acr.verifier.sandbox.turn import turn
from acr.verifier.signals.tests import Run, run_tests

__all__ = ["Changes", "Ground", "Progress"]

Changes = Sequence[tuple[str, str]]
"""(status, path) of what an attempt added, modified or deleted."""
Progress = Callable[[str], None]
BY_TIME = ("cargo", "maven", "make", "custom")
"""Kinds of test commands that build only what is older than its sources."""


class Ground:
    """The base of an attempt, and what it takes to run something on it or on what came after."""

    def __init__(
        self, repository: Repository, base: Snapshot, settings: VerifierSettings, folder: Path
    ) -> None:
        """`folder` is where copies and results go; nothing is made in it yet."""
        self.repository, self.base, self.settings, self.folder = repository, base, settings, folder
        self.engine: Sandbox | None = None
        self.tools = Toolchain({}, ())

    @property
    def root(self) -> Path:
        """Where the tree is, and where it is shown in the sandbox."""
        return self.repository.root

    def ready(self) -> Sandbox:
        """The engine, chosen when it is first needed. Raises SandboxError where there is none."""
        if self.engine is None:
            self.engine = sandbox.choose(self.settings)
        return self.engine

    @contextlib.contextmanager
    def copy(self) -> Iterator[Path]:
        """A private copy of the tree as it is on disk. Raises SandboxError."""
        made = workcopy.copy(self.root, self.folder, self.settings.limits)
        try:
            yield made
        finally:
            workcopy.remove(made)

    def undo(self, copy: Path, changes: Changes) -> None:
        """Makes the files of `changes` in `copy` as they are in the base."""
        added = [path for status, path in changes if status == "A"]
        others = [path for status, path in changes if status != "A"]
        workcopy.rewind(copy, self.base, others, added)

    def run(
        self,
        copy: Path,
        argv: Sequence[str],
        tools: Toolchain | None = None,
        results: Path | None = None,
    ) -> SandboxResult:
        """Runs `argv` in `copy` with the tests' toolchain, or another. Raises SandboxError."""
        tools, limits = tools or self.tools, self.settings.limits
        job = Job(
            argv, copy, self.root, limits, tools.env, results=results, readonly=tools.readonly
        )
        with turn(self.settings.parallel):
            return self.ready().run(job)

    def tools_for(self, program: str, kind: str) -> Toolchain:
        """The toolchain that shows `program`; `kind` is a TestCommand's, or a linter's name."""
        return toolchain.resolve(TestCommand((program,), kind, ""), self.root)

    def tests(self, copy: Path) -> Run:
        """Runs the repository's tests in `copy`. Raises SandboxError where there are none."""
        command = self.repository.test
        if command is None:
            raise SandboxError("no test command was found")
        if command.kind in BY_TIME:
            workcopy.freshen(copy, git.paths(self.base))
        limits = self.settings.limits
        with turn(self.settings.parallel):
            return run_tests(
                self.ready(), command, self.tools, copy, self.root, limits, self.folder
            )
