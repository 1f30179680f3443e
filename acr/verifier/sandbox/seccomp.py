"""Which system calls tests may make: a filter in classic BPF, and the same as Docker's profile."""

from __future__ import annotations

import json
import platform
import struct
from collections.abc import Iterator
from functools import cache
from importlib import resources

__all__ = ["docker_profile", "filter_program"]

DENIED: dict[str, tuple[int | None, int | None]] = {
    "acct": (163, 89), "add_key": (248, 217), "bpf": (321, 280), "chroot": (161, 51),
    "clock_adjtime": (305, 266), "clock_settime": (227, 112), "delete_module": (176, 106),
    "fanotify_init": (300, 262), "finit_module": (313, 273), "fsconfig": (431, 431),
    "fsmount": (432, 432), "fsopen": (430, 430), "fspick": (433, 433),
    "init_module": (175, 105), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425), "ioperm": (173, None), "iopl": (172, None),
    "kcmp": (312, 272), "kexec_file_load": (320, 294), "kexec_load": (246, 104),
    "keyctl": (250, 219), "lookup_dcookie": (212, 18), "memfd_secret": (447, 447),
    "migrate_pages": (256, 238), "mount": (165, 40), "mount_setattr": (442, 442),
    "move_mount": (429, 429), "move_pages": (279, 239), "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265), "open_tree": (428, 428), "perf_event_open": (298, 241),
    "pidfd_getfd": (438, 438), "pivot_root": (155, 41), "process_madvise": (440, 440),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "ptrace": (101, 117),
    "quotactl": (179, 60), "quotactl_fd": (443, 443), "reboot": (169, 142),
    "request_key": (249, 218), "setdomainname": (171, 162), "sethostname": (170, 161),
    "setns": (308, 268), "settimeofday": (164, 170), "swapoff": (168, 225),
    "swapon": (167, 224), "syslog": (103, 116), "umount2": (166, 39), "unshare": (272, 97),
    "userfaultfd": (323, 282), "vhangup": (153, 58),
}  # fmt: skip
"""Calls that no test suite needs: name -> number on (x86_64, aarch64)."""
UNKNOWN = 463
"""From this number on calls are newer than this list; they are the same on every machine."""
FAMILIES = (1, 2, 10)
"""Sockets: unix, IPv4, IPv6. No network namespace holds vsock, which leads to a virtual machine's
host."""
_NETLINK = 16
"""Only its protocol 0, which says what interfaces there are."""
_MACHINES = {"x86_64": (0, 0xC000003E, 56, 41), "aarch64": (1, 0xC00000B7, 220, 198)}
"""Column of DENIED, AUDIT_ARCH_* of linux/audit.h, clone, socket."""
_ARCHITECTURES = {
    "x86_64": "SCMP_ARCH_X86_64",
    "aarch64": "SCMP_ARCH_AARCH64",
    "arm64": "SCMP_ARCH_AARCH64",
}
_CLONE3 = 435
_LOAD, _IF_EQUAL, _IF_AT_LEAST, _IF_BITS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_EPERM, _ENOSYS, _EAFNOSUPPORT = 1, 38, 97
_NUMBER, _ARCH, _FIRST_ARGUMENT, _THIRD_ARGUMENT = 0, 4, 16, 32
"""Offsets in struct seccomp_data."""
_CLONE_NEWUSER = 0x10000000
_X32 = 0x40000000


def filter_program(machine: str | None = None) -> bytes | None:
    """The filter for bwrap's --seccomp; None for a machine whose call numbers are not known.

    Denied calls fail with EPERM, clone with CLONE_NEWUSER too; clone3, whose flags a filter
    cannot see, and calls newer than this list fail with ENOSYS so that programs fall back;
    other families of sockets do not exist; another machine's calls kill.
    """
    known = _MACHINES.get(machine or platform.machine())
    return known and b"".join(struct.pack("HBBI", *step) for step in _steps(*known))


def _steps(column: int, audit: int, clone: int, socket: int) -> Iterator[tuple[int, int, int, int]]:
    """Instructions: code, jump when true, jump when false, value."""
    yield from [(_LOAD, 0, 0, _ARCH), (_IF_EQUAL, 1, 0, audit), (_RETURN, 0, 0, _KILL)]
    yield (_LOAD, 0, 0, _NUMBER)
    if column == 0:
        yield from [(_IF_AT_LEAST, 0, 1, _X32), (_RETURN, 0, 0, _KILL)]
    yield from [(_IF_AT_LEAST, 0, 1, UNKNOWN), (_RETURN, 0, 0, _ERRNO | _ENOSYS)]
    for numbers in DENIED.values():
        if (number := numbers[column]) is not None:
            yield from [(_IF_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ERRNO | _EPERM)]
    yield from [(_IF_EQUAL, 0, 1, _CLONE3), (_RETURN, 0, 0, _ERRNO | _ENOSYS)]
    yield from [(_IF_EQUAL, 0, 3, clone), (_LOAD, 0, 0, _FIRST_ARGUMENT)]
    yield from [(_IF_BITS, 0, 1, _CLONE_NEWUSER), (_RETURN, 0, 0, _ERRNO | _EPERM)]
    count = len(FAMILIES)
    yield from [(_LOAD, 0, 0, _NUMBER), (_IF_EQUAL, 0, count + 5, socket)]
    yield (_LOAD, 0, 0, _FIRST_ARGUMENT)
    for left, family in zip(range(count, 0, -1), FAMILIES, strict=True):
        yield (_IF_EQUAL, left + 3, 0, family)
    yield from [(_IF_EQUAL, 0, 2, _NETLINK), (_LOAD, 0, 0, _THIRD_ARGUMENT), (_IF_EQUAL, 1, 0, 0)]
    yield from [(_RETURN, 0, 0, _ERRNO | _EAFNOSUPPORT), (_RETURN, 0, 0, _ALLOW)]


@cache
def docker_profile() -> str:
    """The same as JSON for container engines: what data/syscalls.txt does not list is denied."""
    names = (resources.files("acr") / "data" / "syscalls.txt").read_text("ascii").split()
    bits = {"index": 0, "value": _CLONE_NEWUSER, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}
    families = [[{"index": 0, "value": family, "op": "SCMP_CMP_EQ"}] for family in FAMILIES]
    families += [
        [{"index": n, "value": v, "op": "SCMP_CMP_EQ"} for n, v in ((0, _NETLINK), (2, 0))]
    ]
    allowed = [("clone", [bits]), *(("socket", one) for one in families)]
    rules: list[dict[str, object]] = [{"names": names, "action": "SCMP_ACT_ALLOW"}]
    rules += [{"names": [n], "action": "SCMP_ACT_ALLOW", "args": args} for n, args in allowed]
    rules += [{"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": _ENOSYS}]
    machine = _ARCHITECTURES.get(platform.machine())
    architectures = {"architectures": [machine]} if machine else {}
    return json.dumps({"defaultAction": "SCMP_ACT_ERRNO", **architectures, "syscalls": rules})
