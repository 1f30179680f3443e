"""Docker, and Podman's Docker socket: containers with the host's own toolchain, no registry."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acr.errors import SandboxError
from acr.settings import Limits
from acr.verifier.sandbox.docker_api import (
    API_TIMEOUT,
    connect,
    engine_errors,
    labels,
    line,
    put_down,
    removed_when_orphaned,
    sweep,
)
from acr.verifier.sandbox.docker_image import IN_IMAGE, empty_root
from acr.verifier.sandbox.engine import HOME, NOBODY, Job, Output, Probe, SandboxResult
from acr.verifier.sandbox.limits import MIB, refused_processes
from acr.verifier.sandbox.process import Kept
from acr.verifier.sandbox.seccomp import docker_profile
from acr.verifier.sandbox.system import SHM, SHOWN, TMP, TRIAL
from acr.verifier.sandbox.watchdog import Watchdog

__all__ = ["Docker"]

LOG_OVERHEAD = 75
"""Bytes that the json-file log adds to each line, at least."""


@dataclass(slots=True)
class _Running:
    """A container, and what its cgroup and the engine said of it while it ran."""

    container: Any
    pid: int = 0
    """Of its first process, on the host; 0 when it is not known."""
    pids_reached: bool = False

    def state(self) -> Mapping[str, Any]:
        """What the engine says of it now."""
        state: Mapping[str, Any] = self.container.client.api.inspect_container(self.container.id)[
            "State"
        ]
        self.pid = int(state.get("Pid") or self.pid)
        return state

    def look(self, watched: Watchdog) -> str:
        """Watchdog.look; notes whether processes were refused, which is lost at the end."""
        self.pids_reached = self.pids_reached or (self.pid > 0 and refused_processes(self.pid))
        return watched.look(self.pid or None)


class Docker:
    """Runs commands in containers of a Docker engine on this machine."""

    name = "docker"
    grade = "container"

    def __init__(self, image: str = "", runtime: str = "") -> None:
        """`image` empty: the host's toolchain, read-only. `runtime` e.g. runsc."""
        self._image, self._runtime = image, runtime
        self._client: Any = None
        self._info: Mapping[str, Any] = {}
        self._probed: Probe | None = None

    def probe(self) -> Probe:
        """Runs a container that reads a file of this machine."""
        if self._probed is None:
            self._probed = self._try()
        return self._probed

    def _try(self) -> Probe:
        try:
            self._client = connect()
            self._info = self._client.info()
            version = f"{self._info.get('ServerVersion', '')}"
            sweep(self._client)
        except SandboxError as e:
            return Probe(False, reason=str(e), fix="Start Docker or Podman, or set DOCKER_HOST.")
        except engine_errors() as e:
            return Probe(False, reason=line(e), fix="Look at the engine's log.")
        token = secrets.token_hex(8)
        with tempfile.TemporaryDirectory(prefix="acr-probe-") as folder:
            Path(folder, "token").write_text(token)
            Path(folder).chmod(0o755)
            job = Job(["/bin/sh", "-c", "cat token"], Path(folder), Path("/probe"), TRIAL)
            try:
                ended = self.run(job)
            except SandboxError as e:
                return Probe(False, version, str(e), "Look at the engine's log.")
        if str(ended.stdout).strip() == token:
            return Probe(True, version)
        why = (
            ended.died
            or f"{ended.stderr}".strip()
            or "the engine does not see this machine's files"
        )
        return Probe(False, version, why, "Use a Docker engine on this machine, not a remote one.")

    def run(self, job: Job) -> SandboxResult:
        """Runs `job`; see Sandbox.run. One container, the command its main process."""
        begun = time.monotonic()
        if self._client is None and not self.probe().ok:
            raise SandboxError(f"docker: {self.probe().reason}")
        try:
            running = _Running(self._create(job))
        except engine_errors() as e:
            raise SandboxError(f"docker could not make a container: {line(e)}") from None
        try:
            with removed_when_orphaned(self._client, running.container.id):
                return self._supervise(running, job, begun)
        except engine_errors() as e:
            return self._result(job, begun, died=f"the Docker engine failed: {line(e)}")
        finally:
            put_down(running.container)

    def _supervise(self, running: _Running, job: Job, begun: float) -> SandboxResult:
        from docker.errors import APIError

        try:
            running.container.start()
        except APIError as e:
            if e.status_code in (400, 404):  # the command is not there
                said = Output(str(e.explanation).encode())
                return self._result(job, begun, exit=127, stderr=said)
            raise
        stopped = _follow(running, job, time.monotonic() + job.limits.wall)
        state = running.state()
        code = int(state["ExitCode"])
        ours = bool(stopped)
        return self._result(
            job,
            begun,
            exit=None if ours or code > 128 else code,
            signal=code - 128 if code > 128 else None,
            stdout=_logs(running, job.limits, stdout=True),
            stderr=_logs(running, job.limits, stderr=True),
            timed_out=stopped == "wall",
            oom=bool(state["OOMKilled"]) or (self._is_podman and code == 137 and not ours),
            disk_full=stopped == "disk",
            pids_reached=running.pids_reached,
        )

    def _result(self, job: Job, begun: float, **how: Any) -> SandboxResult:
        return SandboxResult(
            **{"exit": None, **how},
            engine="podman" if self._is_podman else self.name,
            version=str(self._info.get("ServerVersion", "")),
            duration=time.monotonic() - begun,
            enforced=self._enforced(job.limits),
        )

    @property
    def _is_podman(self) -> bool:
        """Podman's answer to info() names its builder; Docker's has no such key."""
        return "BuildahVersion" in self._info or "buildahVersion" in self._info

    def _create(self, job: Job) -> Any:
        from docker.types import LogConfig

        limits, user = job.limits, self._user()
        size = f"size={limits.tmp}m"
        tmpfs = f"rw,nosuid,nodev,exec,{size}"
        return self._client.containers.create(
            self._image or self._host_image(),
            entrypoint=self._command(job)[:1],
            command=self._command(job)[1:],
            network_mode="none",
            read_only=True,
            mem_limit=f"{limits.memory}m",
            memswap_limit=f"{limits.memory}m",
            pids_limit=limits.pids,
            nano_cpus=int(min(limits.cpus, self._info.get("NCPU") or limits.cpus) * 1e9),
            cap_drop=["ALL"],
            security_opt=["no-new-privileges", f"seccomp={docker_profile()}"],
            user=f"{user}:{user}" if user == NOBODY else f"{user}:{os.getegid() if user else 0}",
            tmpfs={TMP: f"{tmpfs},mode=1777", HOME: f"{tmpfs},mode=0777"},
            ipc_mode="private",
            shm_size=SHM,
            init=True,
            hostname="acr",
            mounts=self._mounts(job),
            working_dir=str(job.at / job.cwd),
            environment=self._environment(job),
            ulimits=_ulimits(limits),
            log_config=LogConfig(
                type="json-file", config={"max-size": f"{limits.output}m", "max-file": "2"}
            ),
            labels=labels(),
            runtime=self._runtime or None,
        )

    def _command(self, job: Job) -> list[str]:
        """An image of the user's has programs of its own: host paths become names."""
        program = Path(job.command[0])
        foreign = program.is_absolute() and not program.is_relative_to(job.at)
        if self._image and foreign:
            return [program.name, *job.command[1:]]
        return list(job.command)

    def _environment(self, job: Job) -> dict[str, str]:
        env = {**job.env, "HOME": HOME}
        return {k: v for k, v in env.items() if not (self._image and k == "PATH")}

    def _user(self) -> int:
        """The id inside: the user's own, nobody for root; a rootless engine maps 0 to the user."""
        if "name=rootless" in (self._info.get("SecurityOptions") or []):
            return 0
        return NOBODY if os.geteuid() == 0 else os.geteuid()

    def _mounts(self, job: Job) -> list[Any]:
        from docker.types import Mount

        pairs = [(job.copy, job.at, False)]
        if job.results:
            pairs += [(job.results, job.results, False)]
        if not self._image:
            system = [Path(name) for name in SHOWN]
            system += [Path("/", name) for name in IN_IMAGE if not Path("/", name).is_symlink()]
            pairs += [(p, p, True) for p in (*system, *job.readonly) if p.exists()]
        return [Mount(str(at), str(p), type="bind", read_only=ro) for p, at, ro in pairs]

    def _host_image(self) -> str:
        """The image that the host's toolchain is bound into; imported when it is not there."""
        from docker.errors import ImageNotFound

        data = empty_root(self._user())
        tag = hashlib.sha256(data).hexdigest()[:12]
        name = f"acr-host:{tag}"
        try:
            self._client.api.inspect_image(name)
        except ImageNotFound:
            self._client.api.import_image_from_data(data, repository="acr-host", tag=tag)
        return name

    def _enforced(self, limits: Limits) -> dict[str, str | None]:
        def held(flag: str, text: str) -> str | None:
            return text if self._info.get(flag, True) else None

        what = f"image {self._image}" if self._image else "toolchains read-only"
        cpus = min(limits.cpus, self._info.get("NCPU") or limits.cpus)
        return {
            "network": "none",
            "filesystem": f"private copy; {what}",
            "user": str(self._user()),
            "memory": held("MemoryLimit", f"{limits.memory} MiB (cgroup)"),
            "pids": held("PidsLimit", f"{limits.pids} (cgroup)"),
            "cpus": held("CpuCfsQuota", f"{cpus:g} (cgroup)"),
            "disk": f"{limits.copy} MiB (watched); {limits.file} MiB a file",
            "wall": f"{limits.wall:g} s",
        }


def _follow(running: _Running, job: Job, deadline: float) -> str:
    """Until the container has ended, or was killed: then why."""
    watched = Watchdog(job.limits, [job.copy, *_some(job.results)], memory=False)
    pause = 0.01
    while running.state()["Running"]:
        why = "wall" if time.monotonic() >= deadline else running.look(watched)
        if why:
            return _kill(running, why)
        time.sleep(pause)
        pause = min(0.2, pause * 1.5)
    return ""


def _kill(running: _Running, why: str) -> str:
    from docker.errors import APIError

    with contextlib.suppress(APIError):  # it has just ended by itself
        running.container.kill("SIGKILL")
    deadline = time.monotonic() + API_TIMEOUT
    while running.state()["Running"]:
        if time.monotonic() > deadline:
            raise SandboxError("docker: a container could not be killed; restart the engine")
        time.sleep(0.02)
    return why


def _logs(running: _Running, limits: Limits, **stream: bool) -> Output:
    """One stream after the end, its newest part when the engine kept no more."""
    cap = limits.output * MIB
    kept, logged = Kept(cap), 0
    wanted = {"stdout": False, "stderr": False, **stream}
    for chunk in running.container.logs(stream=True, follow=False, **wanted):
        kept.add(chunk)
        logged += len(chunk) + LOG_OVERHEAD * chunk.count(b"\n")
    output = kept.output()
    return Output(output.text, output.truncated or logged > cap * 0.9)


def _some(path: Path | None) -> list[Path]:
    return [] if path is None else [path]


def _ulimits(limits: Limits) -> list[Any]:
    import resource

    from docker.types import Ulimit

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    files = limits.files if hard == resource.RLIM_INFINITY else min(limits.files, hard)
    sizes = {"core": 0, "fsize": limits.file * MIB, "nofile": files}
    return [Ulimit(name=name, soft=value, hard=value) for name, value in sizes.items()]
