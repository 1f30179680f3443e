"""Starts a gateway as a process of its own, hears of its steps, and ends it; lists those alive."""

from __future__ import annotations

import contextlib
import fcntl
import json
import re
import secrets
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acr.errors import AcrError, SettingsError
from acr.gateway.config import Config
from acr.gateway.server import LOOPBACK, folder
from acr.nouns import Price, Step, from_json, to_json
from acr.settings import GatewaySettings

__all__ = ["Running", "Started", "alive", "config", "start"]

URL = re.compile(r"https?://[^\s/?#]+[^\s?#]*")
PATIENCE = 5.0
"""Seconds that a gateway may take to end by itself."""


class Started:
    """A gateway that ends with the process that started it; a context."""

    def __init__(self, config: Config, child: subprocess.Popen[str], port: int) -> None:
        self._config, self._child, self.port = config, child, port
        self._steps: list[Step] = []
        self._ended = threading.Thread(target=self._listen, daemon=True)
        self._ended.start()

    @property
    def pid(self) -> int:
        """Of the gateway's process."""
        return self._child.pid

    def address(self, upstream: str) -> str:
        """Where calls to `upstream` go instead, without a final slash."""
        return f"http://{LOOPBACK}:{self.port}/{self._config.token}/{upstream}"

    def wait(self) -> int:
        """The exit code, once it has ended."""
        return self._child.wait()

    def finish(self) -> tuple[tuple[Step, ...], bool]:
        """(every step, whether all are known): ends the gateway. It may have died before."""
        self._close()
        return tuple(sorted(self._steps, key=lambda step: step.n)), not self._child.returncode

    def __enter__(self) -> Started:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _close(self) -> None:
        assert self._child.stdin
        with contextlib.suppress(OSError):
            self._child.stdin.close()
        try:
            self._child.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._ended.join(PATIENCE)

    def _listen(self) -> None:
        assert self._child.stdout
        with self._child.stdout as lines:
            for line in lines:
                with contextlib.suppress(ValueError, TypeError, KeyError):
                    self._steps.append(from_json(Step, json.loads(line)))


def config(
    limits: GatewaySettings,
    upstreams: Mapping[str, str],
    *,
    id_: str = "",
    prices: Mapping[str, Price] | None = None,
    budget: float | None = None,
    credit: Mapping[str, float] | None = None,
    port: int = 0,
    record: str = "",
) -> Config:
    """A gateway with a token of its own; `upstreams` as in the settings win.

    Raises SettingsError for one that is no URL.
    """
    for name, url in limits.upstreams.items():
        if not URL.fullmatch(url):
            raise SettingsError(f"gateway.upstreams.{name}: {url!r} is no http:// or https:// URL")
    return Config(
        id=id_ or secrets.token_hex(5),
        token=secrets.token_urlsafe(16),
        upstreams={**upstreams, **limits.upstreams},
        settings=limits,
        prices=prices or {},
        budget=budget,
        credit=credit or {},
        port=port,
        record=record,
    )


def start(wanted: Config) -> Started:
    """A gateway that serves when this returns. Raises AcrError when it cannot."""
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "acr.gateway"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert child.stdin
    assert child.stdout
    try:
        with contextlib.suppress(BrokenPipeError):
            child.stdin.write(json.dumps(to_json(wanted)) + "\n")
            child.stdin.flush()
        told = json.loads(child.stdout.readline() or "{}")
    except BaseException:  # nobody else would end it
        child.kill()
        child.wait()
        raise
    if "port" not in told:
        child.wait()
        raise AcrError(told.get("error") or "the gateway did not start; see above, and acr doctor")
    return Started(wanted, child, told["port"])


@dataclass(frozen=True, slots=True)
class Running:
    """A gateway that is alive."""

    id: str
    pid: int
    port: int
    started: float
    """Seconds since the epoch."""
    record: str
    total: Mapping[str, Any] | None
    """Its sums; None when it does not answer."""
    models: Mapping[str, Any]
    fault: str


def alive() -> list[Running]:
    """Every gateway of this user that lives, oldest first; what dead ones left is tidied away."""
    found = [_look(path) for path in sorted(folder().glob("*.json"))]
    return sorted((one for one in found if one), key=lambda one: one.started)


def _look(path: Path) -> Running | None:
    try:
        with path.open(encoding="utf-8") as file:
            if _is_free(file.fileno()):
                path.unlink(missing_ok=True)
                return None
            about = json.load(file)
            told = _ask(f"http://{LOOPBACK}:{about['port']}/{about['token']}/acr/status")
            return Running(
                **{name: about[name] for name in ("id", "pid", "port", "started", "record")},
                total=told.get("total"),
                models=told.get("models", {}),
                fault=told.get("fault", ""),
            )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _is_free(descriptor: int) -> bool:
    """Whether nobody holds the lock."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _ask(url: str) -> dict[str, Any]:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with contextlib.suppress(OSError, ValueError), direct.open(url, timeout=2) as answer:
        return dict(json.load(answer))
    return {}
