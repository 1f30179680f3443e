"""Docker, and Podman's Docker socket: containers with the host's own toolchain, no registry."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import secrets
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from acr.errors import SandboxError
from acr.settings import Limits
from acr.verifier.sandbox.engine import HOME, NOBODY, Job, Output, Probe, SandboxResult
from acr.verifier.sandbox.limits import MIB, Watchdog
from acr.verifier.sandbox.process import Kept
from acr.verifier.sandbox.system import ROOTS, SHM, SHOWN, TMP, TRIAL, etc

__all__ = ["Docker"]

LABEL = "dev.acr.run"
OWNER = "dev.acr.owner"
API_TIMEOUT = 20
"""Seconds that one call to the engine may take."""
LOG_OVERHEAD = 75
"""Bytes that the json-file log adds to each line, at least."""
_IN_IMAGE = tuple(name for name in ROOTS if name != "sbin")
"""sbin is a folder of the image's own: the engine puts its init there."""
_MODES = {"tmp": 0o1777, "var/tmp": 0o1777, "home/acr": 0o777}
"""A tmpfs takes the mode of the folder that it covers."""

_REMOVE_WHEN_ORPHANED = """
import http.client, socket, sys
if sys.stdin.buffer.read():
    sys.exit()
class Unix(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(sys.argv[1])
call = Unix("localhost", timeout=60)
call.request("DELETE", "/containers/" + sys.argv[2] + "?force=1&v=1")
call.getresponse()
"""


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
            self._client = _connect()
            self._info = self._client.info()
            version = f"{self._info.get('ServerVersion', '')}"
            _sweep(self._client)
        except SandboxError as e:
            return Probe(False, reason=str(e), fix="Start Docker or Podman, or set DOCKER_HOST.")
        except _engine_errors() as e:
            return Probe(False, reason=_line(e), fix="Look at the engine's log.")
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
            container = self._create(job)
        except _engine_errors() as e:
            raise SandboxError(f"docker could not make a container: {_line(e)}") from None
        try:
            with _removed_when_orphaned(self._client, container.id):
                return self._supervise(container, job, begun)
        except _engine_errors() as e:
            return self._result(job, begun, died=f"the Docker engine failed: {_line(e)}")
        finally:
            with contextlib.suppress(*_engine_errors()):
                container.remove(force=True, v=True)

    def _supervise(self, container: Any, job: Job, begun: float) -> SandboxResult:
        from docker.errors import APIError

        try:
            container.start()
        except APIError as e:
            if e.status_code in (400, 404):  # the command is not there
                said = Output(str(e.explanation).encode())
                return self._result(job, begun, exit=127, stderr=said)
            raise
        stopped = self._follow(container, job, time.monotonic() + job.limits.wall)
        container.reload()
        state = container.attrs["State"]
        code = int(state["ExitCode"])
        ours = bool(stopped)
        return self._result(
            job,
            begun,
            exit=None if ours or code > 128 else code,
            signal=code - 128 if code > 128 else None,
            stdout=self._logs(container, job.limits, stdout=True),
            stderr=self._logs(container, job.limits, stderr=True),
            timed_out=stopped == "wall",
            oom=bool(state["OOMKilled"]) or (self._is_podman and code == 137 and not ours),
            disk_full=stopped == "disk",
        )

    def _follow(self, container: Any, job: Job, deadline: float) -> str:
        """Until the container has ended, or was killed: then why."""
        watched = Watchdog(job.limits, [job.copy, *_some(job.results)], memory=False)
        pause = 0.01
        while self._client.api.inspect_container(container.id)["State"]["Running"]:
            why = "wall" if time.monotonic() >= deadline else watched.look(None)
            if why:
                return self._kill(container, why)
            time.sleep(pause)
            pause = min(0.2, pause * 1.5)
        return ""

    def _kill(self, container: Any, why: str) -> str:
        from docker.errors import APIError

        with contextlib.suppress(APIError):  # it has just ended by itself
            container.kill("SIGKILL")
        deadline = time.monotonic() + API_TIMEOUT
        while self._client.api.inspect_container(container.id)["State"]["Running"]:
            if time.monotonic() > deadline:
                raise SandboxError("docker: a container could not be killed; restart the engine")
            time.sleep(0.02)
        return why

    def _logs(self, container: Any, limits: Limits, **stream: bool) -> Output:
        """One stream after the end, its newest part when the engine kept no more."""
        cap = limits.output * MIB
        kept, logged = Kept(cap), 0
        wanted = {"stdout": False, "stderr": False, **stream}
        for chunk in container.logs(stream=True, follow=False, **wanted):
            kept.add(chunk)
            logged += len(chunk) + LOG_OVERHEAD * chunk.count(b"\n")
        output = kept.output()
        return Output(output.text, output.truncated or logged > cap * 0.9)

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
            command=self._command(job),
            network_mode="none",
            read_only=True,
            mem_limit=f"{limits.memory}m",
            memswap_limit=f"{limits.memory}m",
            pids_limit=limits.pids,
            nano_cpus=int(min(limits.cpus, self._info.get("NCPU") or limits.cpus) * 1e9),
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
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
            labels={LABEL: "1", OWNER: _owner(os.getpid())},
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
            system += [Path("/", name) for name in _IN_IMAGE if not Path("/", name).is_symlink()]
            pairs += [(p, p, True) for p in (*system, *job.readonly) if p.exists()]
        return [Mount(str(at), str(p), type="bind", read_only=ro) for p, at, ro in pairs]

    def _host_image(self) -> str:
        """The image that the host's toolchain is bound into; imported when it is not there."""
        from docker.errors import ImageNotFound

        data = _empty_root(self._user())
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


def _engine_errors() -> tuple[type[Exception], ...]:
    """What the SDK raises when the engine refuses, fails or does not answer."""
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    return DockerException, RequestException


def _line(error: Exception) -> str:
    return " ".join(str(getattr(error, "explanation", None) or error).split())[:300]


def _some(path: Path | None) -> list[Path]:
    return [] if path is None else [path]


def _connect() -> Any:
    """A client of the first engine that answers. Raises SandboxError with what each said."""
    import docker

    failed = []
    for address in _addresses():
        try:
            client = docker.DockerClient(base_url=address, timeout=API_TIMEOUT)
            client.ping()
        except _engine_errors() as e:
            failed.append(f"{address}: {_line(e)}")
        else:
            return client
    raise SandboxError("; ".join(failed) or "no engine socket found (/var/run/docker.sock)")


def _addresses() -> Iterator[str]:
    """DOCKER_HOST alone when it is set, else the sockets that exist."""
    named = os.environ.get("DOCKER_HOST")
    if named:
        yield named
        return
    runtime = os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.geteuid()}")
    home = Path.home()
    for socket in (
        Path("/var/run/docker.sock"),
        Path(runtime, "docker.sock"),
        home / ".docker/run/docker.sock",
        home / ".orbstack/run/docker.sock",
        home / ".colima/default/docker.sock",
        Path(runtime, "podman/podman.sock"),
        Path("/run/podman/podman.sock"),
    ):
        if socket.is_socket():
            yield f"unix://{socket}"


def _empty_root(user: int) -> bytes:
    """A tar of an empty root file system: folders, links and /etc/passwd, the same every time."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name in [
            "usr",
            "sbin",
            "etc",
            "proc",
            "sys",
            "dev",
            "tmp",
            "run",
            "root",
            "home",
            "home/acr",
            "opt",
            "var",
            "var/tmp",
        ]:
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, _MODES.get(name, 0o755)
            tar.addfile(folder)
        for name in _IN_IMAGE:
            link, path = tarfile.TarInfo(name), Path("/", name)
            if path.is_symlink():
                link.type, link.linkname = tarfile.SYMTYPE, os.readlink(path)
            elif path.is_dir():
                link.type, link.mode = tarfile.DIRTYPE, 0o755
            else:
                continue
            tar.addfile(link)
        for name, text in etc(user).items():
            file = tarfile.TarInfo(f"etc/{name}")
            file.size, file.mode = len(text), 0o644
            tar.addfile(file, io.BytesIO(text))
    return data.getvalue()


def _ulimits(limits: Limits) -> list[Any]:
    import resource

    from docker.types import Ulimit

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    files = limits.files if hard == resource.RLIM_INFINITY else min(limits.files, hard)
    sizes = {"core": 0, "fsize": limits.file * MIB, "nofile": files}
    return [Ulimit(name=name, soft=value, hard=value) for name, value in sizes.items()]


def _owner(pid: int) -> str:
    """Which process a container belongs to: pid, its start, and the space of pids."""
    try:
        space = os.readlink("/proc/self/ns/pid")
        started = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return f"{pid}"
    return f"{pid} {started} {space}"


def _sweep(client: Any) -> None:
    """Removes containers of runs whose acr is gone."""
    for container in client.containers.list(all=True, filters={"label": LABEL}):
        owner = str(container.labels.get(OWNER, ""))
        pid, _, rest = owner.partition(" ")
        ours = rest.rpartition(" ")[2] == _owner(os.getpid()).rpartition(" ")[2]
        if pid.isdigit() and ours and _owner(int(pid)) != owner:
            with contextlib.suppress(*_engine_errors()):
                container.remove(force=True, v=True)


@contextlib.contextmanager
def _removed_when_orphaned(client: Any, container: str) -> Iterator[None]:
    """While it is open a small process waits: should acr be killed, it removes the container."""
    socket = getattr(getattr(client.api, "_custom_adapter", None), "socket_path", None)
    if socket is None:  # reached over the network
        yield
        return
    watcher = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _REMOVE_WHEN_ORPHANED, socket, container],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,
    )
    try:
        yield
    finally:
        with contextlib.suppress(BrokenPipeError):
            watcher.communicate(b"done")
