"""Choosing an engine: by running it, never by downgrading."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from acr.errors import SandboxError
from acr.settings import Limits, VerifierSettings
from acr.verifier.sandbox import choose, engines
from acr.verifier.sandbox.docker import Docker
from acr.verifier.sandbox.engine import Job, Sandbox
from acr.verifier.sandbox.limits import MIB
from acr.verifier.sandbox.none import NoSandbox
from acr.verifier.sandbox.seccomp import filter_program
from acr.verifier.sandbox.watchdog import folder_size, tree_bytes


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nothing.sock")
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.usefixtures("no_engine")
@pytest.mark.parametrize("setting", ["auto", "docker", "bwrap"])
def test_without_an_engine_it_refuses_and_says_why_and_what_to_do(setting: str) -> None:
    with pytest.raises(SandboxError) as refused:
        choose(VerifierSettings(sandbox=setting))  # type: ignore[arg-type]  # parametrised text
    said = str(refused.value)
    assert "Tests were not run" in said
    assert "--sandbox none" in said
    assert ("docker:" in said) == (setting != "bwrap")
    assert ("bwrap: bwrap is not installed" in said) == (setting != "docker")


@pytest.mark.usefixtures("no_engine")
def test_none_is_taken_only_when_it_is_asked_for() -> None:
    assert choose(VerifierSettings(sandbox="none")).name == "none"


def test_an_asked_for_engine_never_becomes_another(
    bwrap: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nothing.sock")
    assert choose(VerifierSettings(sandbox="auto")).name == bwrap.name
    with pytest.raises(SandboxError, match=r"nothing\.sock"):
        choose(VerifierSettings(sandbox="docker"))


def test_docker_is_preferred_where_it_works(
    docker_host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", docker_host)
    assert choose(VerifierSettings(sandbox="auto")).name == "docker"


def test_an_image_that_is_not_there_is_said(
    docker_host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", docker_host)
    probe = Docker(image="no-such-image:1").probe()
    assert not probe.ok
    assert "no-such-image" in probe.reason


def test_nothing_is_left_in_the_engine(docker: Sandbox, docker_host: str, work: Path) -> None:
    import docker as sdk

    docker.run(Job(["/bin/true"], work, Path("/project"), Limits(), {"PATH": "/bin"}))
    assert sdk.DockerClient(base_url=docker_host).containers.list(all=True) == []


def test_every_engine_has_a_name_and_a_grade() -> None:
    assert [e.name for e in engines(VerifierSettings())] == ["docker", "bwrap", "none"]


def test_none_runs_in_the_copy_with_a_home_of_its_own_and_says_what_it_does_not_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACR_SECRET", "hunter2")
    copy = tmp_path / "copy"
    copy.mkdir()
    script = "pwd; env; echo $HOME; echo x > /project/new"
    job = Job(["/bin/sh", "-c", script], copy, Path("/project"), Limits(), {"PATH": "/bin"})
    ended = NoSandbox().run(job)
    assert str(ended.stdout).startswith(f"{copy}\n")
    assert "hunter2" not in str(ended.stdout)
    assert str(Path("~").expanduser()) + "\n" not in str(ended.stdout)
    assert (copy / "new").exists()
    assert ended.enforced["network"] is None
    assert ended.enforced["filesystem"] is None
    assert ended.enforced["wall"]


def test_the_filter_knows_two_machines_and_admits_the_others() -> None:
    for machine in ("x86_64", "aarch64"):
        program = filter_program(machine)
        assert program is not None
        assert len(program) % 8 == 0
    assert filter_program("riscv64") is None


def test_sizes_of_trees_and_folders_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_bytes(b"x" * MIB)
    (tmp_path / "loop").symlink_to(tmp_path)
    size, entries, whole = folder_size(tmp_path, 10 * MIB)
    assert MIB <= size < 2 * MIB
    assert (entries, whole) == (4, True)
    with subprocess.Popen(["sh", "-c", "sleep 30 & wait"]) as child:
        assert tree_bytes(child.pid) > 0
        subprocess.run(["pkill", "-P", str(child.pid)], check=False)
