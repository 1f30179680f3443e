"""Real engines for tests: a dockerd started by hand; docker and bwrap as root and as a user."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

import acr
from acr.settings import Limits
from acr.verifier.sandbox.bubblewrap import Bubblewrap
from acr.verifier.sandbox.docker import Docker
from acr.verifier.sandbox.engine import NOBODY, Job, Output, Probe, Sandbox, SandboxResult

ROOT = os.geteuid() == 0
USER = 54321
"""The id of an ordinary user: neither root nor the one that root's sandboxes run as."""
LIMITS = Limits(wall=30.0, memory=256, pids=128, cpus=1.0, output=1, tmp=16, file=64, copy=256)
"""Small, so that a sandbox that holds nothing cannot hurt the machine."""
PATH = "/usr/local/bin:/usr/bin:/bin"
PYTHON = shutil.which("python3", path=PATH) or "python3"
"""The system's, which every sandbox shows to every user."""
SDK = ("docker", "requests", "urllib3", "idna", "certifi", "charset_normalizer")
"""What the Docker engine needs besides the standard library."""


def missing(reason: str) -> None:
    """Fails where everything must be there, skips on a developer's machine."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@contextlib.contextmanager
def dockerd(*options: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """(address, process) of a Docker engine of the tests' own, stopped and tidied up at the end.

    Every user may use it. Raises RuntimeError when it cannot be started.
    """
    program = shutil.which("dockerd", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None or not ROOT:
        raise RuntimeError("dockerd is not installed (apt install docker.io), or not run as root")
    folder = Path(tempfile.mkdtemp(prefix="acr-dockerd-", dir="/var/tmp"))
    folder.chmod(0o711)
    socket = folder / "docker.sock"
    argv = [str(program), "--host", f"unix://{socket}", "--data-root", str(folder / "data")]
    argv += ["--exec-root", str(folder / "exec"), "--pidfile", str(folder / "pid")]
    argv += ["--iptables=false", "--ip6tables=false", "--bridge=none", *options]
    with open(folder / "log", "wb") as log:
        engine = subprocess.Popen(argv, stdout=log, stderr=log, start_new_session=True)
    try:
        deadline = time.monotonic() + 60
        while not _answers(socket) and engine.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        if not _answers(socket):
            raise RuntimeError(f"dockerd did not start: {(folder / 'log').read_text()[-1000:]}")
        socket.chmod(0o666)
        yield f"unix://{socket}", engine
    finally:
        _stop(engine, folder)


def _answers(socket: Path) -> bool:
    import docker
    from docker.errors import DockerException

    if not socket.is_socket():
        return False
    try:
        return bool(docker.DockerClient(base_url=f"unix://{socket}", timeout=5).ping())
    except DockerException:
        return False


def _stop(engine: subprocess.Popen[bytes], folder: Path) -> None:
    engine.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        engine.wait(30)
    with contextlib.suppress(ProcessLookupError):  # containerd and shims, should it have died
        os.killpg(engine.pid, signal.SIGKILL)
    engine.wait()
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in sorted((m for m in mounts if m.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", "-q", mount], check=False)
    for cgroup in Path("/sys/fs/cgroup").glob("*/docker"):
        with contextlib.suppress(OSError):
            cgroup.rmdir()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def docker_host() -> Iterator[str]:
    """DOCKER_HOST of an engine that all tests share."""
    runc = shutil.which("runc", path=f"{os.environ['PATH']}:/usr/sbin")
    try:
        with dockerd(*(["--add-runtime", f"other={runc}"] if runc else [])) as (address, _):
            yield address
    except RuntimeError as e:
        missing(str(e))


@pytest.fixture(scope="session")
def users_python() -> Iterator[Path]:
    """A folder that every user may read, with acr and what its engines need."""
    folder = Path(tempfile.mkdtemp(prefix="acr-user-", dir="/var/tmp"))
    skip = shutil.ignore_patterns("__pycache__", "minilm", "*.so")
    packages = [Path(acr.__file__).parent]
    for name in SDK:
        found = importlib.util.find_spec(name)
        assert found, name
        packages.append(Path(str(found.origin)).parent)
    for package in packages:
        shutil.copytree(package, folder / package.name, ignore=skip)
    (folder / "run.py").write_text(_RUN)
    subprocess.run(["chmod", "-R", "a+rX", str(folder)], check=True)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


_RUN = """
import dataclasses, importlib, json, sys
from pathlib import Path
from acr.settings import Limits
from acr.verifier.sandbox.engine import Job
module, name, told = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
told["limits"] = Limits(**told["limits"])
for key in ("copy", "at", "results"):
    told[key] = Path(told[key]) if told[key] else None
told["readonly"] = [Path(p) for p in told["readonly"]]
engine = getattr(importlib.import_module(f"acr.verifier.sandbox.{module}"), name)()
assert engine.probe().ok, engine.probe()
ended = dataclasses.asdict(engine.run(Job(**told)))
for stream in ("stdout", "stderr"):
    ended[stream]["text"] = ended[stream]["text"].decode(errors="replace")
print(json.dumps(ended))
"""


class Apart:
    """An engine that is used from a process of its own, by root or by an ordinary user."""

    def __init__(self, engine: Sandbox, folder: Path, uid: int) -> None:
        self.name, self.grade, self._uid, self._folder = engine.name, engine.grade, uid, folder
        self._kind = type(engine)

    def probe(self) -> Probe:
        return Probe(True)

    def run(self, job: Job) -> SandboxResult:
        told, said = self.start(job).communicate()
        assert told, said
        return _result(told)

    def start(self, job: Job) -> subprocess.Popen[str]:
        """A process that runs `job` and prints the result; the job's folders are the user's."""
        if self._uid:
            for folder in (job.copy, job.results):
                if folder:
                    subprocess.run(["chown", "-R", f"{self._uid}:{self._uid}", folder], check=True)
        told = {**asdict(job), "command": list(job.command), "readonly": list(job.readonly)}
        module = self._kind.__module__.rpartition(".")[2]
        script = str(self._folder / "run.py")
        env = {"PATH": PATH, "HOME": "/nonexistent", "ACR_SECRET": "hunter2"}
        return subprocess.Popen(
            [PYTHON, "-B", script, module, self._kind.__name__, json.dumps(told, default=str)],
            user=self._uid,
            group=self._uid,
            extra_groups=[],
            env={**env, "DOCKER_HOST": os.environ.get("DOCKER_HOST", "")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
            start_new_session=True,
        )


def _result(text: str) -> SandboxResult:
    told = json.loads(text)
    for name in ("stdout", "stderr"):
        told[name] = Output(told[name]["text"].encode(), told[name]["truncated"])
    return SandboxResult(**told)


@pytest.fixture
def area() -> Iterator[Path]:
    """A folder that every user may enter; pytest's own is closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="acr-test-", dir="/var/tmp")).resolve()
    folder.chmod(0o755)
    yield folder
    subprocess.run(["rm", "-rf", "--", str(folder)], check=False)


@pytest.fixture
def bwrap() -> Sandbox:
    engine = Bubblewrap()
    if not (probe := engine.probe()).ok:
        missing(f"bwrap does not work: {probe.reason}")
    return engine


@pytest.fixture
def docker(docker_host: str, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    monkeypatch.setenv("DOCKER_HOST", docker_host)
    engine = Docker()
    assert engine.probe().ok, engine.probe()
    return engine


@pytest.fixture(params=["docker", "docker as user", "bwrap", "bwrap as user"])
def engine(request: pytest.FixtureRequest) -> Sandbox:
    """Each engine in turn, used by the user of the tests and by an ordinary one."""
    name, _, user = request.param.partition(" ")
    found: Sandbox = request.getfixturevalue(name)
    if not user:
        return found
    if not ROOT:
        pytest.skip("the tests are not root: this case is the one before")
    return Apart(found, request.getfixturevalue("users_python"), USER)


@pytest.fixture
def work(area: Path) -> Path:
    """A private copy as the verifier makes it: 0700, of the user that tests run as."""
    copy = area / "copy"
    copy.mkdir(mode=0o700)
    if ROOT:
        os.chown(copy, NOBODY, NOBODY)
    return copy


@pytest.fixture
def job(work: Path, area: Path) -> Callable[..., Job]:
    """A job that runs Python source, or the words of `command`, in `work`."""

    def make(source: str = "", *, command: list[str] | None = None, **changes: object) -> Job:
        limits = replace(LIMITS, **changes)  # type: ignore[arg-type]  # fields are named by tests
        argv = command or [PYTHON, "-I", "-c", source]
        return Job(argv, work, area / "project", limits, {"PATH": PATH})

    return make


def gone(condition: Callable[[], bool], seconds: float = 10) -> bool:
    """Whether `condition` turns false before the time is over."""
    deadline = time.monotonic() + seconds
    while condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def beating(beat: Path, pause: float = 0.25) -> bool:
    """Whether somebody still writes to the file `beat`."""
    before = beat.stat().st_size
    time.sleep(pause)
    return beat.stat().st_size > before
