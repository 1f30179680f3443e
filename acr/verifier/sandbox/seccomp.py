"""A seccomp filter in classic BPF: system calls that no test suite needs are refused."""

from __future__ import annotations

import platform
import struct
from typing import NamedTuple

__all__ = ["filter_program"]


class _Machine(NamedTuple):
    audit: int
    """AUDIT_ARCH_* of linux/audit.h."""
    denied: tuple[int, ...]
    clone: int
    clone3: int


_NAMES = [
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "bpf",
    "perf_event_open",
    "keyctl",
    "add_key",
    "request_key",
    "userfaultfd",
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
    "mount",
    "umount2",
    "pivot_root",
    "chroot",
    "setns",
    "unshare",
    "open_tree",
    "move_mount",
    "fsopen",
    "fsconfig",
    "fsmount",
    "fspick",
    "mount_setattr",
    "open_by_handle_at",
    "kexec_load",
    "kexec_file_load",
    "init_module",
    "finit_module",
    "delete_module",
    "pidfd_getfd",
]
"""What the numbers below stand for, in order."""

_SHARED = {
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "fspick": 433,
    "pidfd_getfd": 438,
    "mount_setattr": 442,
}
"""Numbers that are the same on every machine."""
_X86_64 = {
    "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "bpf": 321,
    "perf_event_open": 298, "keyctl": 250, "add_key": 248, "request_key": 249,
    "userfaultfd": 323, "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161,
    "setns": 308, "unshare": 272, "open_by_handle_at": 304, "kexec_load": 246,
    "kexec_file_load": 320, "init_module": 175, "finit_module": 313, "delete_module": 176,
}  # fmt: skip
_AARCH64 = {
    "ptrace": 117, "process_vm_readv": 270, "process_vm_writev": 271, "bpf": 280,
    "perf_event_open": 241, "keyctl": 219, "add_key": 217, "request_key": 218,
    "userfaultfd": 282, "mount": 40, "umount2": 39, "pivot_root": 41, "chroot": 51,
    "setns": 268, "unshare": 97, "open_by_handle_at": 265, "kexec_load": 104,
    "kexec_file_load": 294, "init_module": 105, "finit_module": 273, "delete_module": 106,
}  # fmt: skip


def _machine(audit: int, own: dict[str, int], clone: int) -> _Machine:
    numbers = {**_SHARED, **own}
    return _Machine(audit, tuple(numbers[name] for name in _NAMES), clone, 435)


_MACHINES = {
    "x86_64": _machine(0xC000003E, _X86_64, 56),
    "aarch64": _machine(0xC00000B7, _AARCH64, 220),
}

_LOAD, _IF_EQUAL, _IF_AT_LEAST, _IF_BITS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_EPERM, _ENOSYS = 1, 38
_NUMBER, _ARCH, _FIRST_ARGUMENT = 0, 4, 16
"""Offsets in struct seccomp_data."""
_CLONE_NEWUSER = 0x10000000
_X32 = 0x40000000


def filter_program(machine: str | None = None) -> bytes | None:
    """The filter for bwrap's --seccomp; None for a machine whose call numbers are not known.

    Denied calls fail with EPERM, clone with CLONE_NEWUSER too; clone3, whose flags a filter
    cannot see, fails with ENOSYS so that libc falls back to clone; another machine's calls kill.
    """
    known = _MACHINES.get(machine or platform.machine())
    if known is None:
        return None
    code = [(_LOAD, 0, 0, _ARCH), (_IF_EQUAL, 1, 0, known.audit), (_RETURN, 0, 0, _KILL)]
    code += [(_LOAD, 0, 0, _NUMBER)]
    if known.audit == _MACHINES["x86_64"].audit:
        code += [(_IF_AT_LEAST, 0, 1, _X32), (_RETURN, 0, 0, _KILL)]
    for number in known.denied:
        code += [(_IF_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ERRNO | _EPERM)]
    code += [(_IF_EQUAL, 0, 1, known.clone3), (_RETURN, 0, 0, _ERRNO | _ENOSYS)]
    code += [
        (_IF_EQUAL, 0, 3, known.clone),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_IF_BITS, 0, 1, _CLONE_NEWUSER),
        (_RETURN, 0, 0, _ERRNO | _EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("HBBI", *step) for step in code)
