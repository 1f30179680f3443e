"""The side of a container engine: finding it, and leaving no container behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from acr.errors import SandboxError

__all__ = [
    "API_TIMEOUT",
    "connect",
    "engine_errors",
    "labels",
    "line",
    "put_down",
    "removed_when_orphaned",
    "sweep",
]

LABEL = "dev.acr.run"
OWNER = "dev.acr.owner"
API_TIMEOUT = 20
"""Seconds that one call to the engine may take."""
LAST_STARTS = 2.0
"""Seconds in which a container that the engine was starting as it died may still appear."""
_REMOVE_WHEN_ORPHANED = """
import http.client, socket, sys
if sys.stdin.buffer.read():
    sys.exit()
class Unix(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(sys.argv[1])
call = Unix("localhost", timeout=60)
call.request("DELETE", "/containers/" + sys.argv[2] + "?force=1&v=1")
call.getresponse()
"""


def engine_errors() -> tuple[type[Exception], ...]:
    """What the SDK raises when the engine refuses, fails or does not answer."""
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    return DockerException, RequestException


def line(error: Exception) -> str:
    return " ".join(str(getattr(error, "explanation", None) or error).split())[:300]


def connect() -> Any:
    """A client of the first engine that answers. Raises SandboxError with what each said."""
    import docker

    failed = []
    for address in _addresses():
        try:
            client = docker.DockerClient(base_url=address, timeout=API_TIMEOUT)
            client.ping()
        except engine_errors() as e:
            failed.append(f"{address}: {line(e)}")
        else:
            return client
    raise SandboxError("; ".join(failed) or "no engine socket found (/var/run/docker.sock)")


def _addresses() -> Iterator[str]:
    """DOCKER_HOST alone when it is set, else the sockets that exist."""
    named = os.environ.get("DOCKER_HOST")
    if named:
        yield named
        return
    runtime = os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.geteuid()}")
    home = Path.home()
    for socket in (
        Path("/var/run/docker.sock"),
        Path(runtime, "docker.sock"),
        home / ".docker/run/docker.sock",
        home / ".orbstack/run/docker.sock",
        home / ".colima/default/docker.sock",
        Path(runtime, "podman/podman.sock"),
        Path("/run/podman/podman.sock"),
    ):
        if socket.is_socket():
            yield f"unix://{socket}"


def _owner(pid: int) -> str:
    """Which process a container belongs to: pid, its start, and the space of pids."""
    try:
        space = os.readlink("/proc/self/ns/pid")
        started = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return f"{pid}"
    return f"{pid} {started} {space}"


def sweep(client: Any) -> None:
    """Removes containers of runs whose acr is gone."""
    for container in client.containers.list(all=True, filters={"label": LABEL}):
        owner = str(container.labels.get(OWNER, ""))
        pid, _, rest = owner.partition(" ")
        ours = rest.rpartition(" ")[2] == _owner(os.getpid()).rpartition(" ")[2]
        if pid.isdigit() and ours and _owner(int(pid)) != owner:
            with contextlib.suppress(*engine_errors()):
                container.remove(force=True, v=True)


@contextlib.contextmanager
def removed_when_orphaned(client: Any, container: str) -> Iterator[None]:
    """While it is open a small process waits: should acr be killed, it removes the container."""
    socket = getattr(getattr(client.api, "_custom_adapter", None), "socket_path", None)
    if socket is None:  # reached over the network
        yield
        return
    watcher = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _REMOVE_WHEN_ORPHANED, socket, container],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,
    )
    try:
        yield
    finally:
        with contextlib.suppress(BrokenPipeError):
            watcher.communicate(b"done")


def labels() -> dict[str, str]:
    """What marks a container as this process's."""
    return {LABEL: "1", OWNER: _owner(os.getpid())}


def put_down(container: Any) -> None:
    """Removes a container; where the engine fails at that, its processes are killed."""
    try:
        container.remove(force=True, v=True)
    except engine_errors():
        deadline = time.monotonic() + LAST_STARTS
        while time.monotonic() < deadline:
            for pid in _processes(container.id):
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)


def _processes(container: str) -> Iterator[int]:
    """Host processes that are in the cgroup of a container, by its id."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if container in (folder / "cgroup").read_text():
                yield int(folder.name)
