"""Real engines for the verifier's tests: a dockerd started by hand, bwrap as root and as nobody."""

from __future__ import annotations

import contextlib
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
LIMITS = Limits(wall=30.0, memory=256, pids=128, cpus=1.0, output=1, tmp=16, file=64, copy=256)
"""Small, so that a sandbox that holds nothing cannot hurt the machine."""
PATH = "/usr/local/bin:/usr/bin:/bin"
PYTHON = shutil.which("python3", path=PATH) or "python3"
"""The system's, which every sandbox shows to every user."""


def missing(reason: str) -> None:
    """Fails where everything must be there, skips on a developer's machine."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def docker_host() -> Iterator[str]:
    """DOCKER_HOST of a Docker engine of the tests' own, stopped and tidied up at the end."""
    program = shutil.which("dockerd", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None or not ROOT:
        missing("dockerd is not installed (apt install docker.io), or the tests are not root")
    folder = Path(tempfile.mkdtemp(prefix="acr-dockerd-"))
    socket, data = folder / "docker.sock", folder / "data"
    argv = [str(program), "--host", f"unix://{socket}", "--data-root", str(data)]
    argv += ["--exec-root", str(folder / "exec"), "--pidfile", str(folder / "pid")]
    argv += ["--iptables=false", "--ip6tables=false", "--bridge=none"]
    with open(folder / "log", "wb") as log:
        engine = subprocess.Popen(argv, stdout=log, stderr=log, start_new_session=True)
    try:
        deadline = time.monotonic() + 60
        while not socket.is_socket() and engine.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        if not socket.is_socket():
            missing(f"dockerd did not start: {(folder / 'log').read_text()[-1000:]}")
        yield f"unix://{socket}"
    finally:
        engine.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            engine.wait(30)
        engine.kill()
        subprocess.run(["umount", "-q", str(data)], check=False)
        for cgroup in Path("/sys/fs/cgroup").glob("*/docker"):
            with contextlib.suppress(OSError):
                cgroup.rmdir()
        shutil.rmtree(folder, ignore_errors=True)


class AsNobody:
    """bwrap as an ordinary user: the engine runs in a process of user 65534."""

    name, grade = "bwrap", "namespace"

    def __init__(self, folder: Path) -> None:
        package = folder / "acr"
        source = Path(acr.__file__).parent
        shutil.copytree(source, package, ignore=shutil.ignore_patterns("__pycache__", "data"))
        (folder / "run.py").write_text(_RUN)
        self._argv = [PYTHON, str(folder / "run.py")]

    def probe(self) -> Probe:
        return Probe(True)

    def run(self, job: Job) -> SandboxResult:
        return json_result(self.start(job).communicate()[0])

    def start(self, job: Job) -> subprocess.Popen[str]:
        """A process of nobody that runs `job` and prints the result."""
        told = {**asdict(job), "command": list(job.command), "readonly": list(job.readonly)}
        return subprocess.Popen(
            [*self._argv, json.dumps(told, default=str)],
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
            env={"PATH": PATH, "HOME": "/nonexistent", "ACR_SECRET": "hunter2"},
            stdout=subprocess.PIPE,
            text=True,
            cwd="/",
        )


_RUN = """
import dataclasses, json, sys
from pathlib import Path
from acr.settings import Limits
from acr.verifier.sandbox.bubblewrap import Bubblewrap
from acr.verifier.sandbox.engine import Job
told = json.loads(sys.argv[1])
told["limits"] = Limits(**told["limits"])
for key in ("copy", "at", "results"):
    told[key] = Path(told[key]) if told[key] else None
told["readonly"] = [Path(p) for p in told["readonly"]]
ended = dataclasses.asdict(Bubblewrap().run(Job(**told)))
for stream in ("stdout", "stderr"):
    ended[stream]["text"] = ended[stream]["text"].decode(errors="replace")
print(json.dumps(ended))
"""


def json_result(text: str) -> SandboxResult:
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
    shutil.rmtree(folder, ignore_errors=True)


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


@pytest.fixture(params=["docker", "bwrap", "bwrap as nobody"])
def engine(request: pytest.FixtureRequest, area: Path) -> Sandbox:
    """Each engine in turn."""
    if request.param != "bwrap as nobody":
        found: Sandbox = request.getfixturevalue(request.param)
        return found
    request.getfixturevalue("bwrap")
    if not ROOT:
        pytest.skip("the tests are not root: the case bwrap is this one already")
    return AsNobody(area / "nobody")


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


__all__ = ["LIMITS", "PYTHON", "AsNobody", "docker_host", "gone"]
