"""Hostile code looks for a way out: network, files, secrets, rights. Each effect is observed."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from acr.verifier.sandbox.engine import Job, Sandbox
from tests.abuse.cases import case
from tests.engines import PYTHON, USER

Jobs = Callable[..., Job]

PRELUDE = """
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
def call(*args):
    ctypes.set_errno(0)
    got = libc.syscall(*[ctypes.c_long(a) if isinstance(a, int) else a for a in args])
    return got, errno.errorcode.get(ctypes.get_errno(), "")
"""


def said(engine: Sandbox, job: Job) -> str:
    """What the job printed; it must have got to its end."""
    ended = engine.run(job)
    assert ended.exit == 0, f"{ended}"
    return str(ended.stdout)


@case(1, 2)
def test_there_is_no_network(engine: Sandbox, job: Jobs) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        port = listener.getsockname()[1]
        text = said(
            engine,
            job(f"""
import os, socket
print("interfaces", sorted(name for _, name in socket.if_nameindex()))
print("routes", len(open("/proc/net/route").read().splitlines()) - 1)
for address in (("127.0.0.1", {port}), ("1.1.1.1", 53), ("169.254.169.254", 80)):
    try:
        socket.create_connection(address, timeout=2)
        print("CONNECTED", address)
    except OSError as e:
        print("refused", address[0])
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
try:
    u.sendto(b"x", ("1.1.1.1", 53)); print("SENT")
except OSError:
    print("unreachable")
try:
    print("RESOLVED", socket.getaddrinfo("example.com", 80))
except OSError:
    print("no names")
own = socket.create_server(("127.0.0.1", 0))
socket.create_connection(own.getsockname()).close()
print("own loopback works", socket.getaddrinfo("localhost", 80)[0][4][0])
"""),
        )
        with pytest.raises(TimeoutError):
            listener.accept()
    assert "interfaces ['lo']" in text
    assert "routes 0" in text
    assert not re.search("CONNECTED|SENT|RESOLVED", text), text
    assert "own loopback works" in text


@case(1)
def test_only_the_usual_kinds_of_socket_can_be_made(engine: Sandbox, job: Jobs) -> None:
    text = said(
        engine,
        job("""
import socket
for family in range(1, 46):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET):
        try:
            socket.socket(family, kind).close(); print("family", family); break
        except OSError:
            pass
"""),
    )
    families = {int(number) for number in re.findall(r"family (\d+)", text)}
    usual = {socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK}
    assert families <= usual  # not vsock, which no network namespace holds, alg or packet
    assert {socket.AF_UNIX, socket.AF_INET} <= families


@case(3)
def test_an_abstract_socket_of_the_host_is_out_of_reach(engine: Sandbox, job: Jobs) -> None:
    name = f"\0acr-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(name)
        listener.listen()
        ended = engine.run(
            job(f"import socket; s = socket.socket(socket.AF_UNIX); s.connect({name!r})")
        )
    assert ended.exit == 1
    assert "ConnectionRefusedError" in str(ended.stderr)


@case(4, 5)
def test_private_files_and_sockets_of_the_user_are_not_there(engine: Sandbox, job: Jobs) -> None:
    names = (".ssh", ".aws", ".netrc", ".npmrc", ".pypirc", ".config/gh", ".docker", ".gnupg")
    homes = [Path("~").expanduser(), Path("/root"), Path(os.environ["ACR_HOME"])]
    for name in names:
        (homes[0] / name).parent.mkdir(exist_ok=True)
        (homes[0] / name).write_text("hunter2")
    wanted = [str(home / name) for home in homes for name in names]
    wanted += ["/var/run/docker.sock", "/run/docker.sock", "/run/user", "/run/dbus", "/etc/shadow"]
    wanted += ["/run/podman", os.environ.get("SSH_AUTH_SOCK") or "/nonexistent"]
    wanted += [os.environ.get("DOCKER_HOST", "").removeprefix("unix://") or "/nonexistent"]
    text = said(
        engine,
        job(f"""
import os, stat
print([p for p in {wanted!r} if os.path.exists(p)])
for top in ("/", "/run", "/var", "/home", "/root", "/tmp", "/dev"):
    for folder, folders, files in os.walk(top):
        if folder.startswith(("/proc", "/sys", "/usr", "/nix", "/var/tmp/acr-test")):
            folders.clear(); continue
        for name in files:
            try:
                if stat.S_ISSOCK(os.lstat(os.path.join(folder, name)).st_mode):
                    print("SOCKET", folder, name)
            except OSError:
                pass
"""),
    )
    assert text.strip() == "[]"


@case(6)
def test_secrets_of_the_environment_and_open_files_stay_outside(
    engine: Sandbox, job: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACR_SECRET", "hunter2")
    text = said(
        engine,
        job("""
import glob, os
seen = str(dict(os.environ))
for path in glob.glob("/proc/[0-9]*/environ") + glob.glob("/proc/[0-9]*/cmdline"):
    try:
        seen += open(path, errors="replace").read()
    except OSError:
        pass
print("LEAK" if "hunter" + "2" in seen else "clean")
for pid in glob.glob("/proc/[0-9]*"):
    try:
        links = {os.readlink(f"{pid}/fd/{fd}") for fd in os.listdir(f"{pid}/fd")}
    except OSError:
        continue
    usual = ("pipe:", "/dev/null", "/proc/", "anon_inode:[eventfd]")
    print("fds", sorted(l for l in links if not l.startswith(usual)))
print("processes", len(glob.glob("/proc/[0-9]*")))
"""),
    )
    assert "clean" in text
    assert set(re.findall(r"fds (.*)", text)) <= {"[]"}, text
    assert int(re.findall(r"processes (\d+)", text)[0]) <= 6


@case(7, 8, 9)
def test_nothing_outside_the_copy_can_be_written(
    engine: Sandbox, job: Jobs, area: Path, work: Path
) -> None:
    (area / "project").mkdir()
    (area / "project" / "real.txt").write_text("the user's")
    (area / "neighbour").write_text("another project")
    (area / "neighbour").chmod(0o666)
    (work / "link").symlink_to(area / "neighbour")
    text = said(
        engine,
        job(f"""
import os
for path in ("/usr/x", "/etc/x", "/x", "/bin/x", "/proc/sys/kernel/hostname", "../x", "link",
             "/dev/x", "/home/x", "/var/x", "/run/x", "/etc/passwd", "/etc/ld.so.cache",
             "/usr/bin/python3", {str(area / "neighbour")!r}):
    try:
        open(path, "a").write("x"); print("WROTE", path)
    except OSError:
        pass
for path in (".", "..", "../..", "/usr"):
    try:
        os.chmod(path, 0o777); os.utime(path); print("CHANGED", path) if path != "." else None
    except OSError:
        pass
print(sorted(os.listdir(".")), sorted(os.listdir("..")))
open("mine", "w").write("x"); open("/tmp/x", "w").write("x"); open(os.path.expanduser("~/x"), "w")
"""),
    )
    assert re.findall("(?:WROTE|CHANGED) (.*)", text) == []
    assert "['link'] ['project']" in text
    assert (area / "neighbour").read_text() == "another project"
    assert sorted(p.name for p in (area / "project").iterdir()) == ["real.txt"]
    assert (work / "mine").exists()
    assert not Path("/tmp/x").exists()


@case(10)
def test_no_hard_link_leads_out_of_the_copy(
    engine: Sandbox, job: Jobs, work: Path, area: Path
) -> None:
    (area / "users").write_text("the user's")
    text = said(
        engine,
        job(f"""
import os
for source in ("/usr/bin/env", "/etc/passwd", "/proc/self/exe", {str(area / "users")!r}):
    try:
        os.link(source, "hard"); print("LINKED", source); os.unlink("hard")
    except OSError as e:
        pass
"""),
    )
    assert "LINKED" not in text
    assert (area / "users").stat().st_nlink == 1


@case(22, 23, 24, 25, 27)
def test_no_rights_can_be_had(engine: Sandbox, job: Jobs) -> None:
    """Numbers are those of x86-64; elsewhere the calls that libc names are tried only."""
    text = said(
        engine,
        job(
            PRELUDE
            + """
import fcntl, platform, subprocess
calls = {
    "unshare user": lambda: libc.unshare(0x10000000),
    "unshare mount": lambda: libc.unshare(0x00020000),
    "unshare net": lambda: libc.unshare(0x40000000),
    "mount": lambda: libc.mount(b"none", b"/tmp", b"tmpfs", 0, None),
    "remount": lambda: libc.mount(None, b"/", None, 32, None),
    "umount": lambda: libc.umount2(b"/tmp", 2),
    "chroot": lambda: libc.chroot(b"/tmp"),
    "setuid": lambda: libc.setuid(0),
    "setgid": lambda: libc.setgid(0),
    "setgroups": lambda: libc.setgroups(0, None),
    "setns": lambda: libc.setns(os.open("/proc/self/ns/net", os.O_RDONLY), 0),
    "ptrace 1": lambda: libc.ptrace(16, 1, 0, 0),
    "ptrace parent": lambda: libc.ptrace(16, os.getppid(), 0, 0),
    "mknod": lambda: libc.mknod(b"/tmp/sda", 0o60666, 0x800),
    "sethostname": lambda: libc.sethostname(b"x", 1),
    "reboot": lambda: libc.reboot(0),
    "swapoff": lambda: libc.swapoff(b"/dev/sda"),
    "clock": lambda: libc.clock_settime(0, ctypes.create_string_buffer(16)),
    "vhangup": lambda: libc.vhangup(),
    "acct": lambda: libc.acct(None),
    "nice": lambda: libc.setpriority(0, 0, -5),
}
for name, tried in calls.items():
    if tried() == 0:
        print("GOT", name)
if platform.machine() == "x86_64":
    zero = ctypes.create_string_buffer(256)
    numbers = {"bpf": (321, 0, zero, 72), "perf": (298, zero, 0, -1, -1, 0),
        "keyctl": (250, 0, -3, 1), "add_key": (248, b"user", b"a", b"b", 1, -3),
        "userfaultfd": (323, 1), "io_uring": (425, 8, zero),
        "process_vm_readv": (310, 1, 0, 0, 0, 0, 0),
        "clone newuser": (56, 0x10000011, 0, 0, 0, 0), "clone newns": (56, 0x00020011, 0, 0, 0, 0),
        "fsopen": (430, b"tmpfs", 0), "open_tree": (428, -100, b"/", 1), "memfd_secret": (447, 0),
        "kexec": (246, 0, 0, 0, 0), "handle": (304, -100, zero, 0), "iopl": (172, 3),
        "pidfd_getfd": (438, 0, 0, 0), "quotactl": (179, 0, 0, 0, 0), "syslog": (103, 3, zero, 255),
        "fanotify": (300, 0, 0), "kcmp": (312, 1, 1, 0, 0, 0),
        "move_pages": (279, 1, 0, 0, 0, 0, 0)}
    for name, args in numbers.items():
        got, why = call(*args)
        if got == 0 and "clone" in name:
            os._exit(0)
        if got >= 0:
            print("GOT", name)
    got, why = call(9999)
    print("unknown", why)
for request, name in ((0x5412, "TIOCSTI"), (0x541C, "TIOCLINUX")):
    for fd in (0, 1, 2):
        try:
            fcntl.ioctl(fd, request, b"x"); print("GOT", name)
        except OSError:
            pass
for path in ("/dev/tty", "/dev/console", "/dev/mem", "/dev/kmsg", "/dev/sda", "/dev/vda",
             "/dev/fuse", "/dev/kvm", "/dev/loop0", "/proc/kcore", "/proc/sysrq-trigger",
             "/proc/kmsg"):
    for flag in (os.O_RDONLY, os.O_WRONLY):
        try:
            os.close(os.open(path, flag)); print("GOT", path)
        except OSError:
            pass
for command in ("su -c id", "sudo -n id", "mount -t tmpfs x /tmp"):
    try:
        quiet = {"capture_output": True, "stdin": subprocess.DEVNULL, "timeout": 5}
        if subprocess.run(command.split(), **quiet).returncode == 0:
            print("GOT", command)
    except (OSError, subprocess.SubprocessError):
        pass
status = dict(l.split(":", 1) for l in open("/proc/self/status"))
held = ("CapEff", "CapPrm", "CapBnd", "NoNewPrivs", "Seccomp")
print(*(status[key].strip() for key in held), os.getuid(), os.getgroups())
"""
        ),
    )
    assert re.findall("GOT (.*)", text) == []
    assert re.search(r"^0{16} 0{16} 0{16} 1 2 [1-9]\d* \[\d*\]$", text, re.M), text
    assert "unknown ENOSYS" in text or os.uname().machine != "x86_64"


@case(26)
def test_nothing_of_the_kernel_can_be_set(engine: Sandbox, job: Jobs) -> None:
    text = said(
        engine,
        job("""
import os
tops = {"/proc/sys": 6, "/sys": 4, "/proc/1": 2, "/proc/bus": 5, "/proc/irq": 4}
for top, depth in tops.items():
    for folder, folders, files in os.walk(top):
        if folder.count("/") >= depth or folder == "/proc/1":
            folders.clear()
        for name in files:
            path = os.path.join(folder, name)
            try:
                descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
            except OSError:
                continue
            try:
                os.write(descriptor, b"1"); print("WROTE", path)
            except OSError:
                pass
            os.close(descriptor)
try:
    open("/proc/self/oom_score_adj", "w").write("-1000"); print("UNKILLABLE")
except OSError:
    pass
"""),
    )
    wrote = set(re.findall("WROTE (.*)", text))
    own = {f"/proc/1/{name}" for name in ("clear_refs", "comm", "coredump_filter", "sched")}
    own |= {
        f"/proc/1/{name}" for name in ("autogroup", "oom_adj", "oom_score_adj", "timerslack_ns")
    }
    assert wrote <= own, text  # of the sandbox's own first process
    assert "UNKILLABLE" not in text or _anyone_may_be_unkillable()


def _anyone_may_be_unkillable() -> bool:
    """Whether this machine's own processes were started like that."""
    write = "open('/proc/self/oom_score_adj', 'w').write('-1000')"
    user = USER if os.geteuid() == 0 else None
    return (
        subprocess.run(
            [PYTHON, "-c", write], user=user, stderr=subprocess.DEVNULL, check=False
        ).returncode
        == 0
    )


@case(24)
def test_a_set_user_id_file_gives_nobody_roots_rights(
    engine: Sandbox, job: Jobs, work: Path
) -> None:
    engine.run(job('import os, shutil; shutil.copy("/bin/sh", "sh"); os.chmod("sh", 0o6755)'))
    if (work / "sh").exists():
        about = (work / "sh").stat()
        assert about.st_uid != 0
        assert about.st_gid != 0
    text = said(
        engine,
        job(command=["/bin/sh", "-c", "cp /bin/sh s; chmod u+s s; ./s -c 'id -u' || :; id -u"]),
    )
    assert len(set(text.split())) == 1


@case(24)
def test_file_capabilities_in_the_copy_give_nothing(engine: Sandbox, job: Jobs, work: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can set them")
    program = work / "python"
    program.write_bytes(Path("/bin/cat").read_bytes())
    program.chmod(0o755)
    capability = bytes.fromhex("0100000202000000" + "0" * 24)  # cap_dac_override+ep
    os.setxattr(program, "security.capability", capability)
    ended = engine.run(job(command=["/bin/sh", "-c", "./python /proc/self/status"]))
    assert ended.exit != 0 or re.search(r"CapEff:\s0{16}$", str(ended.stdout), re.M)


@case(21)
def test_signals_reach_only_the_sandbox(engine: Sandbox, job: Jobs) -> None:
    with subprocess.Popen(["sleep", "60"], user=USER if os.geteuid() == 0 else None) as bystander:
        for target in ("-1", "os.getppid()", "1", "-os.getpgid(0)", str(bystander.pid)):
            engine.run(
                job(f"import os, signal\ntry: os.kill({target}, signal.SIGKILL)\nexcept OSError: 0")
            )
            assert bystander.poll() is None
        bystander.kill()


@case(25)
def test_there_is_no_terminal_to_type_into(engine: Sandbox, job: Jobs) -> None:
    text = said(
        engine,
        job("""
import os
print(os.getsid(0) != 0, [os.isatty(fd) for fd in range(3)], os.path.exists("/dev/pts/0"))
print(open("/proc/self/stat").read().rpartition(")")[2].split()[4])
"""),
    )
    assert text.split("\n")[0].endswith("[False, False, False] False")
    assert text.split("\n")[1] == "0"  # no controlling terminal


def test_the_host_s_clock_and_names_tell_nothing(engine: Sandbox, job: Jobs) -> None:
    text = said(engine, job("import os; print(os.uname().nodename, os.environ.get('USER'))"))
    assert text.split() == ["acr", "None"]


def test_the_real_tree_is_not_shown_beside_the_copy(
    engine: Sandbox, job: Jobs, area: Path, work: Path
) -> None:
    (area / "project").mkdir()
    (area / "project" / "secret").write_text("hunter2")
    (area / "other").mkdir()
    (area / "other" / "secret").write_text("hunter2")
    began = time.monotonic()
    text = said(
        engine,
        job(command=["/bin/sh", "-c", f"ls {area} {area}/project; cat {area}/*/secret || :"]),
    )
    assert "hunter2" not in text
    assert "other" not in text
    assert time.monotonic() - began < 20
