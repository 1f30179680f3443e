"""install.sh, run for real with a fake `uv` that installs without a network."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.packaging import ROOT, SEES_TEST_PACKAGES, distributions

pytestmark = pytest.mark.xdist_group("package")

FAKE_UV = """#!{python} -I
# A fake uv: makes environments that see the packages of the tests, installs the wheel at WHEEL.
import os, subprocess, sys, sysconfig, time, venv
words = sys.argv[1:]
with open({log!r}, "a") as log:
    print(*words, file=log)
if words[0] == "venv":
    venv.create(words[-1], symlinks=True)
    base = {{"base": words[-1], "platbase": words[-1]}}
    with open(sysconfig.get_path("purelib", "venv", base) + "/tests.pth", "w") as pth:
        pth.write({packages!r})
elif os.path.exists({stop!r}):
    print("error: no route to the package index", file=sys.stderr)
    sys.exit(1)
elif os.path.exists({hang!r}):
    open({hang!r} + ".reached", "w").close()
    time.sleep(60)
else:
    python = words[words.index("--python") + 1]
    pip = [{python!r}, "-m", "pip", "--python", python, "install", "--no-index", "--no-deps"]
    subprocess.run([*pip, "--force-reinstall", {wheel!r}], check=True)
"""


COMPILERS = ("c++", "g++", "clang++")
WITHOUT_LLAMA = "import sys; sys.modules['llama_cpp'] = None\n"
"""Line of a .pth file that hides llama.cpp."""


class Machine:
    """A user's machine: a home, the usual programs, and the fake uv."""

    def __init__(self, folder: Path, packages: str = SEES_TEST_PACKAGES) -> None:
        self.home = folder / "a home"
        self.bin = folder / "bin"
        self.stop, self.hang, self.log = folder / "stop", folder / "hang", folder / "uv.log"
        self.home.mkdir()
        self.bin.mkdir()
        fake = self.bin / "uv"
        fake.write_text(
            FAKE_UV.format(
                python=sys.executable,
                packages=packages,
                wheel=str(distributions()[1]),
                stop=str(self.stop),
                hang=str(self.hang),
                log=str(self.log),
            )
        )
        fake.chmod(0o755)
        self.lib = self.home / ".local" / "lib" / "acr"
        self.acr = self.home / ".local" / "bin" / "acr"

    @property
    def environment(self) -> dict[str, str]:
        """Variables of the user's shell; acr's own home is where it is by default."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("ACR_", "PIP_", "XDG_"))}
        return {**kept, "HOME": str(self.home), "PATH": f"{self.bin}:{os.environ['PATH']}"}

    def run(self, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """install.sh with options, and the environment changed by variables."""
        return subprocess.run(
            [str(ROOT / "install.sh"), *options],
            env={**self.environment, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def install(self, *options: str) -> str:
        """Installs without llama.cpp; returns what was said."""
        done = self.run("--yes", "--no-llama", *options)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def version(self) -> str:
        """What the launcher answers."""
        done = subprocess.run([self.acr, "--version"], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def environments(self) -> list[Path]:
        """Installed environments; there should be one."""
        return sorted(self.lib.glob("env.*"))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine where nothing is installed."""
    return Machine(tmp_path)


def _tree(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Machine, str]:
    """A machine where acr is installed, which every test leaves so, and what install.sh said."""
    shared = Machine(tmp_path_factory.mktemp("machine"))
    return shared, shared.install()


def test_install_ends_with_doctor_and_a_demo_that_fails_escalates_and_passes(
    installed: tuple[Machine, str],
) -> None:
    machine, said = installed
    assert "acr 0.1.0 is installed" in said
    assert "is not on your PATH" in said
    doctor, _, demo = said.partition("$ acr demo")
    assert "$ acr doctor" in doctor
    assert "demo-small fail → demo-large pass" in demo
    assert "No model was called" in demo
    assert machine.version() == "acr 0.1.0"


def test_without_a_compiler_numpy_routes_and_install_says_so(tmp_path: Path) -> None:
    machine = Machine(tmp_path, SEES_TEST_PACKAGES + WITHOUT_LLAMA)
    tools = tmp_path / "tools"
    tools.mkdir()
    for folder in os.environ["PATH"].split(":"):
        for tool in Path(folder).glob("*"):
            if tool.name not in (*COMPILERS, "uv", "acr") and not (tools / tool.name).exists():
                (tools / tool.name).symlink_to(tool)
    path = f"{machine.bin}:{tools}"
    done = machine.run("--yes", PATH=path, CXX="")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "acr routes by numpy, without llama.cpp, which needs a C++ compiler" in done.stdout
    assert "numpy (llama-cpp-python is not installed" in done.stdout
    routed = subprocess.run(
        [machine.acr, "classify", "fix the failing test"],
        env={**machine.environment, "PATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "bug_fixing" in routed.stdout
    assert "the model (numpy)" in routed.stdout


def test_a_second_run_upgrades_and_keeps_what_took_minutes_to_build(
    installed: tuple[Machine, str],
) -> None:
    machine, _ = installed
    first = machine.environments()
    packages = next(first[0].rglob("acr/__init__.py")).parent.parent
    (packages / "llama_cpp.py").write_text("# built once\n")
    (machine.lib / "lock").mkdir()  # left by a run that was killed
    said = machine.install()
    second = machine.environments()
    assert "(before: acr 0.1.0)" in said
    assert len(second) == 1
    assert second != first
    assert list(second[0].rglob("llama_cpp.py"))


def test_a_failed_upgrade_names_the_cause_and_leaves_the_old_one_at_work(
    installed: tuple[Machine, str],
) -> None:
    machine, _ = installed
    before = machine.environments()
    machine.stop.touch()
    done = machine.run("--yes", "--no-llama")
    machine.stop.unlink()
    assert done.returncode == 1
    assert done.stderr == (
        "install.sh: could not install acr: error: no route to the package index; "
        f"the log is {machine.lib}/install.log\n"
    )
    assert machine.version() == "acr 0.1.0"
    assert machine.environments() == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_upgrade_leaves_the_old_one_at_work(
    installed: tuple[Machine, str], number: signal.Signals
) -> None:
    machine, _ = installed
    before = machine.environments()
    machine.hang.touch()
    process = subprocess.Popen(
        [str(ROOT / "install.sh"), "--yes", "--no-llama"],
        env=machine.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not Path(f"{machine.hang}.reached").exists():
        assert time.monotonic() < deadline, "the installation never reached its packages"
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    _, error = process.communicate(timeout=30)
    machine.hang.unlink()
    Path(f"{machine.hang}.reached").unlink()
    assert process.returncode == 128 + number
    assert error == "\ninstall.sh: stopped; what was installed before still works\n"
    assert machine.version() == "acr 0.1.0"
    assert machine.environments() == before
    assert not (machine.lib / "lock").exists()


def test_uninstall_removes_what_was_installed_and_keeps_what_was_learned(machine: Machine) -> None:
    kept = machine.home / ".local" / "bin" / "mine"
    kept.parent.mkdir(parents=True)
    kept.touch()
    before = _tree(machine.home / ".local")
    machine.install()
    state = machine.home / ".local" / "share" / "acr"
    (state / "profiles").mkdir(parents=True, exist_ok=True)
    done = machine.run("--uninstall", "--yes")
    assert done.returncode == 0, done.stderr
    assert f"kept in {state}" in done.stdout
    shutil.rmtree(state.parent)
    assert _tree(machine.home / ".local") == before


def test_uninstall_where_nothing_is_says_so(machine: Machine) -> None:
    done = machine.run("--uninstall", "--yes")
    assert done.returncode == 0
    assert "is not installed" in done.stdout
    assert _tree(machine.home) == []


@pytest.mark.parametrize("options", [("--yes",), ("--uninstall", "--yes")])
def test_a_foreign_acr_is_left_alone(machine: Machine, options: tuple[str, ...]) -> None:
    machine.acr.parent.mkdir(parents=True)
    machine.acr.write_text("mine")
    machine.lib.mkdir(parents=True)
    (machine.lib / "install.log").touch()
    done = machine.run(*options)
    assert done.returncode == 1
    assert "was not made by this script" in done.stderr
    assert machine.acr.read_text() == "mine"


def test_a_second_installer_is_turned_away(machine: Machine) -> None:
    lock = machine.lib / "lock"
    lock.mkdir(parents=True)
    (lock / "pid").write_text(str(os.getpid()))
    done = machine.run("--yes")
    assert done.returncode == 1
    assert f"process {os.getpid()}" in done.stderr


def test_without_a_usable_python_the_command_to_get_one_is_named(machine: Machine) -> None:
    programs = machine.home / "programs"
    programs.mkdir()
    for name in ("bash", "basename", "cat", "date", "dirname", "mkdir", "readlink", "rm", "uname"):
        found = shutil.which(name)
        assert found
        (programs / name).symlink_to(found)
    done = machine.run("--yes", PATH=str(programs))
    assert done.returncode == 1
    assert "acr needs Python 3.11 or later and found none; run: " in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--prefxi", "x"), 2, "unknown option --prefxi"),
        (("--prefix",), 1, "--prefix needs a folder"),
        (("--yes", "--prefix", "/dev/null/x"), 1, "choose a folder of yours"),
    ],
)
def test_a_wrong_command_line_is_one_sentence(
    machine: Machine, options: tuple[str, ...], code: int, words: str
) -> None:
    done = machine.run(*options)
    assert (done.returncode, len(done.stderr.splitlines())) == (code, 1)
    assert words in done.stderr


def test_help_names_every_option(machine: Machine) -> None:
    said = machine.run("--help").stdout
    for option in ("--prefix", "--no-llama", "--yes", "--uninstall", "--test", "ACR_TEST_DIR"):
        assert option in said


@pytest.mark.parametrize("script", ["install.sh", ".ci/run"])
def test_shellcheck_finds_nothing(script: str) -> None:
    if shutil.which("shellcheck") is None:
        assert os.environ.get("CI") != "true", "CI has shellcheck"
        pytest.skip("shellcheck is not installed")
    done = subprocess.run(
        ["shellcheck", str(ROOT / script)], capture_output=True, text=True, check=False
    )
    assert done.stdout == ""
