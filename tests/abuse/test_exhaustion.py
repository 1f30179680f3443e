"""Hostile code takes all it can get: processes, memory, disk, output, time. All is bounded."""

from __future__ import annotations

import re
import resource
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from acr.verifier import workcopy
from acr.verifier.sandbox.engine import Job, Sandbox
from acr.verifier.sandbox.limits import MIB
from tests.abuse.cases import case
from tests.engines import LIMITS, beating, gone

Jobs = Callable[..., Job]


@contextmanager
def responsive(worst: float = 2.0) -> Iterator[None]:
    """The host answers all the while: no pause of this process's own is longer than `worst`."""
    pauses, done = [0.0], threading.Event()

    def watch() -> None:
        while not done.is_set():
            began = time.monotonic()
            done.wait(0.01)
            pauses.append(time.monotonic() - began)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
    assert max(pauses) < worst


@case(11)
def test_a_fork_bomb_is_held(engine: Sandbox, job: Jobs) -> None:
    with responsive():
        ended = engine.run(
            job(
                """
import os, time
children = 0
for _ in range(1500):
    try:
        pid = os.fork()
    except OSError:
        print("stopped", children); break
    if pid == 0:
        os.setsid()
        time.sleep(30); os._exit(0)
    children += 1
else:
    print("FREE", children)
""",
                pids=64,
            )
        )
    said = re.search(r"stopped (\d+)", str(ended.stdout))
    assert said, f"{ended.stdout}{ended.stderr}"
    assert int(said[1]) <= 64


@case(11)
def test_a_fork_bomb_that_forks_in_every_child_ends_with_the_run(
    engine: Sandbox, job: Jobs, work: Path
) -> None:
    with responsive():
        ended = engine.run(
            job(
                """
import os, time
open("beat", "w").close()
end = time.monotonic() + 20
while time.monotonic() < end:
    try:
        if os.fork() == 0:
            os.setsid()
    except OSError:
        time.sleep(0.01)
    with open("beat", "a") as beat:
        beat.write("x")
""",
                pids=64,
                wall=3.0,
            )
        )
    assert ended.timed_out
    assert gone(lambda: beating(work / "beat"))


@case(11)
def test_threads_are_counted_too(engine: Sandbox, job: Jobs) -> None:
    ended = engine.run(
        job(
            """
import threading, time
started = 0
try:
    for _ in range(1500):
        threading.Thread(target=time.sleep, args=(5,), daemon=True).start(); started += 1
    print("FREE")
except RuntimeError:
    print("stopped", started)
""",
            pids=64,
        )
    )
    assert re.search(r"stopped \d+", str(ended.stdout)), f"{ended}"


@case(12)
def test_a_memory_bomb_is_stopped_and_reported(engine: Sandbox, job: Jobs) -> None:
    ended = engine.run(
        job(
            """
import os
blocks = []
if os.fork() == 0:
    try:
        for _ in range(64):
            blocks.append(bytearray(os.urandom(1 << 20)) * 8)
    except MemoryError:
        os._exit(9)
    print("FREE", flush=True)
    os._exit(0)
print("child", os.waitstatus_to_exitcode(os.wait()[1]))
""",
            memory=128,
        )
    )
    assert "FREE" not in str(ended.stdout)
    assert ended.oom or "child 9" in str(ended.stdout)


@case(13)
def test_memory_of_many_processes_is_added_up(engine: Sandbox, job: Jobs) -> None:
    ended = engine.run(
        job(
            """
import os, time
for _ in range(6):
    if os.fork() == 0:
        os.setsid()
        block = bytearray(os.urandom(1 << 20)) * 64
        time.sleep(3)
        os._exit(0)
codes = [os.waitstatus_to_exitcode(os.wait()[1]) for _ in range(6)]
print("codes", codes)
""",
            memory=128,
        )
    )
    assert ended.oom


MEMORY_ELSEWHERE = {
    "memfd": """
import os
for n in range(16):
    fd = os.memfd_create(str(n))
    for _ in range(48):
        os.write(fd, block)
""",
    "shared memory": """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p
for n in range(16):
    segment = libc.shmget(0, 48 << 20, 0o1600)
    address = libc.shmat(segment, None, 0)
    if segment < 0 or address in (None, 2**64 - 1):
        raise OSError("no segment")
    ctypes.memset(address, 1, 48 << 20)
    libc.shmdt(ctypes.c_void_p(address))
""",
    "unlinked files of the private folders": """
import os
for n in range(64):
    for folder in ("/tmp", "/dev/shm", os.path.expanduser("~"), "/dev", "/run"):
        try:
            with open(f"{folder}/{n}", "wb") as file:
                for _ in range(48):
                    file.write(block); file.flush()
        except OSError:
            pass
    if n > 2:
        break
raise OSError("full")
""",
    "pipes": """
import os, fcntl
pipes, filled = [], 0
while filled < 700 << 20:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        fcntl.fcntl(writer, 1031, 1 << 20)
    except OSError:
        pass
    try:
        while True:
            filled += os.write(writer, block)
    except BlockingIOError:
        pass
    pipes.append((reader, writer))
""",
}


@pytest.mark.quiet
@case(12, 13)
@pytest.mark.parametrize("way", MEMORY_ELSEWHERE)
def test_memory_that_no_process_has_mapped_is_bounded_too(
    engine: Sandbox, job: Jobs, way: str
) -> None:
    before = _available()
    source = f"block = b'x' * (1 << 20)\n{MEMORY_ELSEWHERE[way]}\n"
    source += "import time\nprint('FREE', flush=True); time.sleep(20)"
    ended = engine.run(job(source, memory=128, tmp=16))
    assert ended.oom or ended.exit not in (0, None), f"{ended}"
    assert "FREE" not in str(ended.stdout) or ended.oom
    assert gone(lambda: _available() < before - 600 * MIB), "memory is not given back"


def _available() -> int:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(one.split()[1]) * 1024 for one in lines if one.startswith("MemAvailable"))


@case(16)
@pytest.mark.parametrize("line", [True, False], ids=["lines", "one line"])
def test_a_flood_of_output_is_bounded(engine: Sandbox, job: Jobs, line: bool) -> None:
    text = "x" * 99 + "\\n" if line else "x" * 100
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ended = engine.run(
        job(f"""
import sys
for _ in range(300_000):
    sys.stdout.write({text!r}.replace("\\\\n", "\\n"))
sys.stdout.write("THE END")
""")
    )
    assert ended.exit == 0, str(ended.stderr)
    assert ended.stdout.truncated
    assert len(ended.stdout.text) <= (LIMITS.output << 20) + 200
    assert str(ended.stdout).endswith("THE END")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


@case(16)
def test_output_of_any_bytes_is_kept_and_harmless(engine: Sandbox, job: Jobs) -> None:
    ended = engine.run(
        job("""
import os
os.write(1, bytes(range(256)) * 10 + b"\\x1b]0;owned\\x07\\x1b[2J" + "\\u202egnp.exe".encode())
os.write(2, b"\\xff\\xfe\\x00err")
""")
    )
    assert "\x1b]0;owned" in str(ended.stdout)
    assert "err" in str(ended.stderr)
    from acr.verifier.signals.results import plain

    shown = plain(str(ended.stdout))
    assert not {"\x1b", "\x07", "\x00", "\u202e", "\x9b"} & set(shown)
    assert "owned" not in shown


@case(14)
def test_the_private_folders_are_small_and_gone_afterwards(engine: Sandbox, job: Jobs) -> None:
    ended = engine.run(
        job("""
import errno, os
for folder, limit in (("/tmp", 17), (os.path.expanduser("~"), 17), ("/dev/shm", 65)):
    try:
        with open(f"{folder}/fill", "wb") as f:
            for _ in range(limit):
                f.write(b"x" * (1 << 20)); f.flush()
        print("FREE", folder)
    except OSError as e:
        print(errno.errorcode[e.errno])
""")
    )
    assert re.findall(r"\w+", str(ended.stdout)) in (["ENOSPC"] * 3, ["ENOSPC"] * 2 + ["EFBIG"])
    assert not Path("/tmp/fill").exists()


@case(15)
def test_one_file_cannot_be_larger_than_its_limit(engine: Sandbox, job: Jobs) -> None:
    ended = engine.run(
        job("""
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for grow in (lambda f: f.truncate(1 << 40), lambda f: (f.seek(1 << 40), f.write(b"x"), f.flush())):
    try:
        grow(open("big", "wb")); print("FREE")
    except OSError as e:
        print("stopped", e.errno)
""")
    )
    assert str(ended.stdout).count("stopped 27") == 2


DISK = {
    "files": """
for n in range(8):
    open(f"fill{n}", "wb").write(b"x" * (8 << 20))
""",
    "files below a closed folder": """
import os
os.mkdir("closed")
for n in range(40):
    open(f"closed/fill{n}", "wb").write(b"x" * (8 << 20))
os.chmod("closed", 0)
""",
    "files that are deleted but open": """
kept = []
import os
for n in range(40):
    kept.append(open("fill", "wb")); os.unlink("fill")
    kept[-1].write(b"x" * (8 << 20)); kept[-1].flush()
""",
    "files below a path that is too long": """
import os
for _ in range(60):
    os.mkdir("d" * 200); os.chdir("d" * 200)
for n in range(40):
    open(f"fill{n}", "wb").write(b"x" * (8 << 20))
""",
}


@case(14)
@pytest.mark.quiet
@pytest.mark.parametrize("way", DISK)
def test_a_copy_that_grows_past_its_limit_is_stopped(
    engine: Sandbox, job: Jobs, work: Path, way: str
) -> None:
    ended = engine.run(job(DISK[way] + "\nimport time\ntime.sleep(25)", copy=32, wall=28.0))
    assert ended.disk_full, f"{ended}"
    assert ended.exit is None


@case(15)
def test_very_many_files_are_stopped(engine: Sandbox, job: Jobs) -> None:
    ended = engine.run(
        job(
            """
import os, time
for n in range(20):
    os.mkdir(str(n))
    for m in range(1000):
        os.close(os.open(f"{n}/{m}", os.O_CREAT))
time.sleep(20)
""",
            entries=5_000,
        )
    )
    assert ended.disk_full, f"{ended}"


@case(15)
def test_a_tree_of_any_depth_can_be_removed(engine: Sandbox, job: Jobs, area: Path) -> None:
    outer = area / "copy-1-x"
    outer.mkdir(mode=0o755)
    (outer / "tree").mkdir()
    (outer / "tree").chmod(0o777)
    one = replace(
        job("""
import os
for n in range(3000):
    os.mkdir("d" * 20); os.chdir("d" * 20)
open("deep", "w").close()
os.chmod(".", 0)
"""),
        copy=outer / "tree",
    )
    assert engine.run(one).exit == 0
    workcopy.remove(outer / "tree")
    assert not outer.exists()


@case(17, 18)
def test_a_run_that_does_not_end_is_stopped_and_keeps_its_output(
    engine: Sandbox, job: Jobs
) -> None:
    begun = time.monotonic()
    ended = engine.run(
        job(
            """
import signal, time
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
print("begun", flush=True)
time.sleep(600)
""",
            wall=2.0,
        )
    )
    assert ended.timed_out
    assert ended.exit is None
    assert "begun" in str(ended.stdout)
    assert time.monotonic() - begun < 25


@case(17)
def test_a_stopped_process_does_not_stop_the_clock(engine: Sandbox, job: Jobs) -> None:
    ended = engine.run(job("import os, signal; os.kill(0, signal.SIGSTOP)", wall=2.0))
    assert ended.timed_out


@case(19)
def test_a_daemon_is_gone_with_the_run(engine: Sandbox, job: Jobs, work: Path) -> None:
    ended = engine.run(
        job("""
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        while True:
            open("beat", "a").write("x"); time.sleep(0.01)
    os._exit(0)
while not os.path.exists("beat"):
    time.sleep(0.01)
""")
    )
    assert ended.exit == 0
    assert gone(lambda: beating(work / "beat"))


@case(20)
def test_a_child_that_keeps_the_output_open_holds_nothing_up(engine: Sandbox, job: Jobs) -> None:
    begun = time.monotonic()
    ended = engine.run(job(command=["/bin/sh", "-c", "setsid sleep 25 & echo done"]))
    assert str(ended.stdout) == "done\n"
    assert ended.exit == 0
    assert time.monotonic() - begun < 15


def test_no_core_is_dumped(engine: Sandbox, job: Jobs, work: Path) -> None:
    ended = engine.run(job("import os; os.abort()"))
    assert ended.signal == 6
    assert [p.name for p in work.iterdir() if "core" in p.name] == []


def test_processor_time_is_held_where_a_cgroup_can(engine: Sandbox, job: Jobs) -> None:
    ended = engine.run(
        job("""
import os, time
end = time.monotonic() + 2
for _ in range(3):
    if os.fork() == 0:
        while time.monotonic() < end: pass
        os._exit(0)
for _ in range(3): os.wait()
print(sum(os.times()[2:4]))
""")
    )
    if ended.enforced["cpus"]:
        assert float(str(ended.stdout)) < 2.8  # one core for two seconds, and a bit
    else:
        assert engine.name == "bwrap"
