"""Nothing of a sandbox outlives acr or its engine, and an engine that fails is never a verdict."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from acr.cli import main
from acr.verifier.sandbox.docker import Docker
from acr.verifier.sandbox.engine import Job, Sandbox
from tests.abuse.cases import case
from tests.engines import PATH, ROOT, USER, Apart, beating, dockerd, gone, missing

Jobs = Callable[..., Job]
BEAT = ["/bin/sh", "-c", "setsid sh -c 'while :; do echo x >> beat; sleep 0.05; done' & wait"]


@pytest.fixture(params=["docker", "docker as user", "bwrap", "bwrap as user"])
def apart(request: pytest.FixtureRequest) -> Apart:
    """Each engine, used from a process of its own that can be killed."""
    name, _, user = request.param.partition(" ")
    if user and not ROOT:
        pytest.skip("the tests are not root: this case is the one before")
    folder = request.getfixturevalue("users_python")
    return Apart(request.getfixturevalue(name), folder, USER if user else os.geteuid())


def containers(address: str) -> list[str]:
    import docker

    return [c.id for c in docker.DockerClient(base_url=address).containers.list(all=True)]


@case(28)
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_sandbox_is_gone_when_acr_is(
    apart: Apart, job: Jobs, work: Path, docker_host: str, how: signal.Signals
) -> None:
    beat = work / "beat"
    with apart.start(job(command=BEAT)) as runner:
        assert gone(lambda: not beat.exists(), 30), "the sandbox did not start"
        runner.send_signal(how)
        runner.communicate(timeout=30)
    assert gone(lambda: beating(beat), 20)
    assert gone(lambda: bool(containers(docker_host)))


@case(28)
def test_containers_that_nobody_waits_for_are_swept_at_the_next_start(
    docker: Sandbox, docker_host: str, work: Path
) -> None:
    import docker as sdk

    client = sdk.DockerClient(base_url=docker_host)
    image = client.images.list()[0].id

    def left(**labels: str) -> str:
        made = client.containers.create(image, ["/bin/true"], labels=labels)
        return str(made.id)

    ours = {"dev.acr.run": "1"}
    space = os.readlink("/proc/self/ns/pid")
    dead = left(**ours, **{"dev.acr.owner": f"4194999 1 {space}"})
    reused = left(**ours, **{"dev.acr.owner": f"{os.getpid()} 1 {space}"})
    elsewhere = left(**ours, **{"dev.acr.owner": "4194999 1 pid:[1]"})
    others = left()
    try:
        assert Docker().probe().ok
        kept = containers(docker_host)
        assert {dead, reused}.isdisjoint(kept)
        assert {elsewhere, others} <= set(kept)
    finally:
        for name in (elsewhere, others):
            client.containers.get(name).remove()


@pytest.fixture
def own_dockerd(monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[bytes]]:
    """An engine that a test may kill."""
    try:
        with dockerd() as (address, process):
            monkeypatch.setenv("DOCKER_HOST", address)
            yield process
    except RuntimeError as e:
        missing(str(e))


@case(39)
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["dies", "hangs"])
def test_an_engine_that_fails_is_not_a_result_and_leaves_nothing_running(
    own_dockerd: subprocess.Popen[bytes], job: Jobs, work: Path, how: signal.Signals
) -> None:
    engine, beat = Docker(), work / "beat"
    assert engine.probe().ok

    def strike() -> None:
        if gone(lambda: not beat.exists(), 30):
            own_dockerd.send_signal(how)

    striker = threading.Thread(target=strike)
    striker.start()
    try:
        begun = time.monotonic()
        ended = engine.run(job(command=BEAT))
        assert time.monotonic() - begun < 120
    finally:
        striker.join()
        own_dockerd.send_signal(signal.SIGCONT)
    assert "the Docker engine failed" in ended.died
    assert ended.exit is None
    assert gone(lambda: beating(beat), 20)


@case(39)
def test_a_sandbox_that_is_killed_from_outside_is_no_success(
    bwrap: Sandbox, job: Jobs, work: Path
) -> None:
    beat = work / "beat"

    def strike() -> None:
        if gone(lambda: not beat.exists(), 30):
            tasks = Path(f"/proc/{os.getpid()}/task").glob("*/children")
            for pid in " ".join(task.read_text() for task in tasks).split():
                if Path(f"/proc/{pid}/comm").read_text() == "bwrap\n":
                    os.kill(int(pid), signal.SIGKILL)

    striker = threading.Thread(target=strike)
    striker.start()
    ended = bwrap.run(job(command=BEAT))
    striker.join()
    assert (ended.exit, ended.signal, ended.timed_out) == (None, signal.SIGKILL, False)
    assert gone(lambda: beating(beat), 20)


TRAP = """import pathlib, unittest


class TestTrap(unittest.TestCase):
    def test_trap(self):
        pathlib.Path({trap!r}).touch()
"""


@case(40)
@pytest.mark.parametrize("choice", ["auto", "docker", "bwrap"])
def test_without_an_engine_no_test_is_run_and_that_is_said(
    git_repo: Callable[..., Path],
    tmp_path: Path,
    area: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    choice: str,
) -> None:
    trap, bare = area / "ran", tmp_path / "bin"
    bare.mkdir()
    for name in ("git", "cp", "python3", "rm"):
        (bare / name).symlink_to(f"/usr/bin/{name}")
    root = git_repo({"test_trap.py": TRAP.format(trap=str(trap)), "a.py": "1"})
    (root / "a.py").write_text("2")
    monkeypatch.setenv("PATH", str(bare))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nothing.sock")
    assert main.run(["verify", "--cwd", str(root), "--sandbox", choice]) == 1
    assert "Tests were not run" in capsys.readouterr().err
    assert not trap.exists()
    monkeypatch.setenv("PATH", PATH)
    assert main.run(["verify", "--cwd", str(root), "--sandbox", "none"]) == 0
    assert trap.exists(), "the trap must be one"
