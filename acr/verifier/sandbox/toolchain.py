"""Which of the host's toolchains and package caches a test command needs to see, read-only."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from acr.nouns import TestCommand

__all__ = ["Toolchain", "resolve"]

SYSTEM = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ENVIRONMENT = {
    "CARGO_NET_OFFLINE": "true",
    "CI": "1",
    "GOPROXY": "off",
    "GOSUMDB": "off",
    "GOTOOLCHAIN": "local",
    "LANG": "C.UTF-8",
    "NO_COLOR": "1",
    "PIP_NO_INDEX": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "TERM": "dumb",
    "UV_OFFLINE": "1",
    "npm_config_offline": "true",
    "npm_config_update_notifier": "false",
}
"""What every test run gets: no network is expected, nothing is coloured."""
_PYTHON = ("python3", "python")
_NODE = ("node",)
_JAVA = ("java",)
_PROGRAMS = {
    "pytest": _PYTHON,
    "unittest": _PYTHON,
    "npm": _NODE,
    "pnpm": _NODE,
    "yarn": _NODE,
    "bun": (),
    "go": ("go",),
    "cargo": ("cargo",),
    "maven": ("mvn", *_JAVA),
    "gradle": ("gradle", *_JAVA),
    "ruff": (),
    "eslint": _NODE,
}
_ANY = ("make", *_PYTHON, *_NODE, "npm", "go", "cargo", *_JAVA)
"""What a make target or a command of the user's own may call."""


@dataclass(frozen=True, slots=True)
class Toolchain:
    """What a sandbox needs so that the host's own tools work in it."""

    env: Mapping[str, str]
    """The whole environment but HOME."""
    readonly: tuple[Path, ...]
    """Folders outside the system's own that must be visible."""


@dataclass(slots=True)
class _Found:
    root: Path
    bins: list[str] = field(default_factory=list)
    folders: dict[Path, None] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)

    def add(self, *folders: Path) -> None:
        """Existing folders that neither the system nor the copy shows already."""
        for folder in folders:
            if folder.is_dir() and not _is_system(folder) and not folder.is_relative_to(self.root):
                self.folders[folder] = None


def resolve(command: TestCommand, root: Path) -> Toolchain:
    """The toolchain for `command` in the repository `root`, from this process's environment.

    Asks version managers (pyenv, asdf, nodenv) which program they mean by running them.
    """
    found = _Found(root)
    names = dict.fromkeys([command.argv[0], *_PROGRAMS.get(command.kind, _ANY)])
    present = {name: path for name in names if (path := _which(name, root))}
    for name, program in present.items():
        _add_program(found, Path(name).name, program)
    _add_caches(found, {Path(name).name for name in names})
    bins = ":".join(dict.fromkeys([*found.bins, *SYSTEM.split(":")]))
    return Toolchain({**ENVIRONMENT, **found.env, "PATH": bins}, _outermost(found.folders))


def _which(name: str, root: Path) -> Path | None:
    if "/" in name:
        path = root / name
        return path if path.is_file() else None
    said = shutil.which(name)
    if said is None:
        return None
    path = Path(said).absolute()
    return _ask(path, name, root) if path.parent.name == "shims" else path


def _ask(shim: Path, name: str, root: Path) -> Path | None:
    """The program behind a version manager's shim; None when it does not tell."""
    question = {
        "python": ["-I", "-c", "import sys; print(sys.executable)"],
        "node": ["-p", "process.execPath"],
    }.get(name.rstrip("3"))
    if question is None:
        return None
    try:
        said = subprocess.run(
            [shim, *question], cwd=root, capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    answer = Path(said.stdout.strip())
    return answer if answer.is_absolute() and answer.is_file() else None


def _add_program(found: _Found, name: str, path: Path) -> None:
    if not _is_system(path):
        found.bins.append(str(path.parent))
    for hop in _hops(path):
        inside = hop.is_relative_to(found.root)
        if not inside and not _is_system(hop) and os.access(hop, os.X_OK):
            found.add(_prefix(hop, found.root))
        base = _venv_base(hop)
        if base is not None:
            if name.startswith("python"):
                found.env.setdefault("VIRTUAL_ENV", str(hop.parent.parent))
            for behind in _hops(base):
                found.add(_prefix(behind, found.root))


def _hops(path: Path) -> Iterator[Path]:
    """`path` and every link on the way to the file behind it."""
    for _ in range(40):
        yield path
        if not path.is_symlink():
            break
        path = Path(os.path.normpath(path.parent / os.readlink(path)))
    yield path.resolve()


def _venv_base(program: Path) -> Path | None:
    """The interpreter that a virtual environment was made from."""
    try:
        lines = (program.parent.parent / "pyvenv.cfg").read_text(errors="replace").splitlines()
    except OSError:
        return None
    values = {key.strip(): value.strip() for key, _, value in (x.partition("=") for x in lines)}
    home = Path(values.get("home", ""))
    return next((p for n in _PYTHON if (p := home / n).is_file()), None)


def _prefix(program: Path, root: Path) -> Path:
    """The installation that `program` belongs to, or its folder when that would show too much.

    A folder that is not called bin is no installation and gives nothing (an empty folder name
    that does not exist), so that a link in a repository cannot make a private folder visible.
    """
    folder = program.parent
    if folder.name != "bin":
        return Path("/nonexistent")
    prefix = folder.parent
    home = Path.home()
    personal = (home / ".local", _cargo_home(), home / "go", folder.parents[1] / ".cargo")
    wide = len(prefix.parts) <= 2 or home.is_relative_to(prefix) or root.is_relative_to(prefix)
    return folder if wide or prefix in personal else prefix


def _add_caches(found: _Found, names: set[str]) -> None:
    home = Path.home()
    if names & {*_PYTHON}:
        found.add(*sorted((home / ".local/lib").glob("python3*")))
        if any(f.is_relative_to(home / ".local/lib") for f in found.folders):
            found.env["PYTHONUSERBASE"] = str(home / ".local")
    if "cargo" in names and _cargo_home().is_dir():
        rustup = Path(os.environ.get("RUSTUP_HOME", home / ".rustup"))
        found.add(*(_cargo_home() / part for part in ("bin", "registry", "git")), rustup)
        found.env |= {"CARGO_HOME": str(_cargo_home()), "RUSTUP_HOME": str(rustup)}
    if "go" in names:
        path = Path(os.environ.get("GOPATH", str(home / "go")).split(":")[0])
        modules = Path(os.environ.get("GOMODCACHE", path / "pkg/mod"))
        found.add(modules)
        found.env["GOMODCACHE"] = str(modules)
    if names & {"mvn", "mvnw", "java"}:
        artifacts = (home / ".m2/repository").resolve()
        found.add(artifacts, Path("/etc/maven"), *Path("/etc").glob("java-*-openjdk"))
        if artifacts.is_dir():
            found.env["MAVEN_OPTS"] = f"-Dmaven.repo.local={artifacts}"
        found.env |= _java_home(found)
    if names & {"gradle", "gradlew"} and (caches := home / ".gradle/caches").is_dir():
        found.add(caches)
        found.env["GRADLE_RO_DEP_CACHE"] = str(caches)


def _java_home(found: _Found) -> dict[str, str]:
    named = os.environ.get("JAVA_HOME")
    if not named or not Path(named, "bin/java").is_file():
        return {}
    found.add(Path(named))
    return {"JAVA_HOME": named}


def _cargo_home() -> Path:
    return Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))


def _is_system(path: Path) -> bool:
    return path.is_relative_to("/usr") or path.parts[1:2] in (
        ("bin",),
        ("sbin",),
        ("lib",),
        ("lib64",),
        ("nix",),
    )


def _outermost(folders: Mapping[Path, None]) -> tuple[Path, ...]:
    """Without those that lie in another."""
    return tuple(f for f in folders if not any(f != o and f.is_relative_to(o) for o in folders))
