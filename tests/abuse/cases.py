"""What hostile code tries: the list that the suite covers, by number."""

from __future__ import annotations

import pytest

__all__ = ["CASES", "case"]

case = pytest.mark.case

CASES = {
    1: "reach the network: TCP, UDP, DNS, other address families",
    2: "reach a listener of the host on 127.0.0.1",
    3: "reach an abstract unix socket of the host",
    4: "find docker.sock, podman.sock, SSH_AUTH_SOCK, D-Bus",
    5: "read ~/.ssh, ~/.aws, ~/.netrc, ~/.config/gh, ~/.npmrc, ~/.pypirc",
    6: "read secrets of the environment, of /proc/*/environ, of inherited descriptors",
    7: "read or change other repositories, parent folders, the user's real tree",
    8: "write to /usr, /etc, /, ..; leave something in /tmp",
    9: "have the host follow a symlink, FIFO or device in place of a result",
    10: "write to the user's files through hard links",
    11: "fork bomb",
    12: "memory bomb of one process",
    13: "memory bomb spread over many processes",
    14: "fill the disk: /tmp, the copy",
    15: "huge sparse file, very many inodes",
    16: "flood of output: no newline, invalid UTF-8, terminal escapes",
    17: "sleep for ever",
    18: "ignore SIGTERM and SIGINT",
    19: "daemon by double fork and setsid",
    20: "child that keeps stdout open",
    21: "kill(-1), kill of the parent",
    22: "ptrace, process_vm_readv",
    23: "unshare, mount, remount, mknod, chroot, setns",
    24: "set-user-id programs and files",
    25: "TIOCSTI, /dev/tty",
    26: "write to /proc/sys, /sys, cgroup files",
    27: "bpf, perf, keyctl, userfaultfd, io_uring",
    28: "outlive acr: SIGKILL, ^C",
    29: "poisoned .git/config and hooks",
    30: "planted .git, gitfile or submodule in the copy",
    31: "os._exit(0) in conftest",
    32: "patch the runner: makereport, sessionfinish, TestReport",
    33: "narrow what runs: xfail, skip, deselect, addopts, testpaths",
    34: "shadow the runner: ./pytest, sitecustomize, PATH, .npmrc, package.json, Makefile",
    35: "forge results: junit, summary; link, huge, entities, missing",
    36: "delete, weaken, rename tests; collection error; no tests",
    37: "tests that fail before and after are not blamed on the attempt",
    38: "strange paths: spaces, newline, dash, non-UTF-8, symlinked root, worktree",
    39: "the engine dies or hangs",
    40: "there is no engine",
}
