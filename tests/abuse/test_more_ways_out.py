"""More ways out that hostile code may try, beside those of the list."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from acr.verifier.sandbox.engine import NOBODY, Job, Sandbox
from acr.verifier.signals import results
from tests.abuse.cases import case
from tests.engines import ROOT

Jobs = Callable[..., Job]


@case(7, 22, 23)
def test_no_process_s_view_is_wider_than_the_sandbox_s_own(
    engine: Sandbox, job: Jobs, area: Path
) -> None:
    (area / "secret").write_text("hunter2")
    ended = engine.run(
        job(f"""
import glob, os
for pid in glob.glob("/proc/[0-9]*") + ["/proc/self", "/proc/thread-self"]:
    for link in ("root", "cwd", "exe", *("fd/" + n for n in "0123456789")):
        for path in (f"{{pid}}/{{link}}", f"{{pid}}/{{link}}/../../../../../.."):
            try:
                found = os.listdir(path + {str(area)!r})
                if "secret" in found: print("SEEN", path)
            except OSError:
                pass
            if link != "cwd" and os.path.isfile(path):
                try:
                    os.close(os.open(path, os.O_WRONLY)); print("WRITES", path)
                except OSError:
                    pass
""")
    )
    assert ended.exit == 0, f"{ended}"
    assert re.findall("(?:SEEN|WRITES) .*", str(ended.stdout)) == []


@case(28)
def test_what_ends_a_sandbox_cannot_be_changed_from_inside(engine: Sandbox, job: Jobs) -> None:
    if engine.name != "bwrap":
        pytest.skip("a container is ended by its engine")
    ended = engine.run(
        job("""
import os
for name in ("mem", "task/1/mem", "maps", "environ", "fd/0", "ns/mnt", "clear_refs"):
    for flag in (os.O_RDONLY, os.O_RDWR):
        try:
            os.close(os.open(f"/proc/1/{name}", flag)); print("OPENS", name)
        except OSError:
            pass
for name in ("/proc/1/x", "/proc/1/mem"):
    try:
        open(name, "w"); print("MAKES", name)
    except OSError:
        pass
""")
    )
    assert ended.exit == 0, f"{ended}"
    assert str(ended.stdout) == ""


@case(1, 27)
def test_kernel_interfaces_that_no_test_needs_are_closed(engine: Sandbox, job: Jobs) -> None:
    ended = engine.run(
        job("""
import os, socket
for family, kind, protocol in ((17, 3, 3), (40, 1, 0), (16, 3, 9), (16, 3, 12), (16, 3, 21),
                               (16, 3, 6), (16, 3, 16), (2, 3, 1), (10, 3, 58), (2, 3, 255)):
    try:
        made = socket.socket(family, kind, protocol)
        try:
            made.bind((0, 1)) if family == 16 else None
        except OSError:
            continue
        print("SOCKET", family, kind, protocol)
    except OSError:
        pass
socket.socket(16, 3, 0).bind((0, 0)); print("interfaces are told")
""")
    )
    assert ended.exit == 0, f"{ended}"
    assert str(ended.stdout) == "interfaces are told\n"


@case(24)
def test_rights_of_files_in_the_copy_do_not_grow(engine: Sandbox, job: Jobs, work: Path) -> None:
    """Whatever owners, modes and attributes hostile code sets, they are those of no rights."""
    ended = engine.run(
        job("""
import os, stat
for name, change in {
    "setuid": lambda p: os.chmod(p, 0o6777),
    "owned": lambda p: os.chown(p, 0, 0),
    "group": lambda p: os.chown(p, -1, 0),
    "capable": lambda p: os.setxattr(p, "security.capability",
        bytes.fromhex("0100000202000000" + "0" * 24)),
    "trusted": lambda p: os.setxattr(p, "trusted.x", b"1"),
}.items():
    open(name, "w").close()
    try:
        change(name)
    except OSError:
        pass
    got = os.stat(name)
    print(name, got.st_uid == 0 and os.getuid() != 0, got.st_gid == 0 and os.getgid() != 0,
          sorted(x for x in os.listxattr(name) if not x.startswith("user.")))
os.mkdir("folder"); os.chmod("folder", 0o7777)
""")
    )
    assert ended.exit == 0, f"{ended}"
    for line in str(ended.stdout).splitlines():
        assert line.split(" ", 1)[1] in ("False False []",), line
    if ROOT:
        assert all(path.lstat().st_uid != 0 for path in work.iterdir())


@case(9, 35)
def test_a_result_that_is_replaced_while_it_is_read_is_refused_or_whole(
    engine: Sandbox, job: Jobs, area: Path
) -> None:
    folder = area / "results"
    folder.mkdir(mode=0o700)
    (area / "secret").write_text("hunter2")
    if ROOT:
        os.chown(folder, NOBODY, NOBODY)
    place = folder / "junit.xml"
    ended = engine.run(
        replace(
            job(f"""
import os
place = {str(place)!r}
os.symlink({str(area / "secret")!r}, place + ".link")
os.mkfifo(place + ".fifo")
os.symlink("/proc/self/mem", place)
for name in ("..", "../..", {str(area)!r}):
    try:
        os.rename({str(folder)!r}, os.path.join({str(folder)!r}, name, "moved")); print("MOVED")
    except OSError:
        pass
    try:
        print("SEEN" if "secret" in os.listdir(os.path.join({str(folder)!r}, name)) else "")
    except OSError:
        pass
"""),
            results=folder,
        )
    )
    assert ended.exit == 0, f"{ended}"
    assert "MOVED" not in str(ended.stdout)
    assert "SEEN" not in str(ended.stdout)
    for name in ("junit.xml", "junit.xml.link", "junit.xml.fifo"):
        try:
            said = results.read_result(folder / name)
        except results.UnreadableError:
            continue
        raise AssertionError(said)


@case(8, 15)
def test_names_that_collide_or_are_odd_leave_nothing_outside(
    engine: Sandbox, job: Jobs, work: Path, area: Path
) -> None:
    before = sorted(p.name for p in area.iterdir())
    ended = engine.run(
        job(r"""
import os
for name in (b"README", b"readme", b"a\nb", b"-rf", b"*", b"\xff\xfe", b"..\\x", b"a" * 255,
             b"~", b"con"):
    os.mkdir(name); open(name + b"/" + name, "w").close()
    os.symlink(b"../" * 20 + b"etc/passwd", name + b"/link")
fd = os.memfd_create("x"); os.write(fd, b"#!/bin/sh\necho ran as $(id -u)\n")
pid = os.fork()
if pid == 0:
    try:
        os.execve(fd, ["x"], {"PATH": "/usr/bin:/bin"})
    except OSError:
        os._exit(1)
os.wait()
""")
    )
    assert ended.exit == 0, f"{ended}"
    assert "ran as 0" not in str(ended.stdout)
    assert sorted(p.name for p in area.iterdir()) == before
    assert len(list(work.iterdir())) == 10
