"""Engines that run tests: docker, else bwrap, else refuse; nothing is downgraded silently."""

from __future__ import annotations

import sys

from acr.errors import SandboxError
from acr.settings import VerifierSettings
from acr.verifier.sandbox.engine import Job, Output, Probe, Sandbox, SandboxResult

__all__ = ["Job", "Output", "Probe", "Sandbox", "SandboxResult", "candidates", "choose", "engines"]

INSTALL = (
    "Install Docker or Podman, or bubblewrap (`apt install bubblewrap`; on Ubuntu 24.04 and later "
    "bwrap needs an AppArmor profile with `userns,`), or pass --sandbox none to run the tests "
    "with your own rights."
)


def engines(settings: VerifierSettings) -> tuple[Sandbox, ...]:
    """Every engine, strongest first; `none` last."""
    from acr.verifier.sandbox.bubblewrap import Bubblewrap
    from acr.verifier.sandbox.docker import Docker
    from acr.verifier.sandbox.none import NoSandbox
    from acr.verifier.sandbox.seatbelt import Seatbelt

    linux: tuple[Sandbox, ...] = (Docker(settings.image, settings.runtime), Bubblewrap())
    shown = sys.platform == "darwin" or settings.sandbox == Seatbelt.name
    return (*linux, *((Seatbelt(),) if shown else ()), NoSandbox())


def candidates(settings: VerifierSettings) -> tuple[str, ...]:
    """Names of the engines that the settings allow, preferred first."""
    return ("docker", "bwrap") if settings.sandbox == "auto" else (settings.sandbox,)


def choose(settings: VerifierSettings) -> Sandbox:
    """The engine that the settings ask for, proved by a trial run.

    auto takes docker, else bwrap, and never seatbelt or none. Raises SandboxError that says why
    each candidate failed and what to do.
    """
    wanted = candidates(settings)
    failed = []
    for engine in engines(settings):
        if engine.name not in wanted:
            continue
        probe = engine.probe()
        if probe.ok:
            return engine
        failed.append(f"{engine.name}: {probe.reason}")
    raise SandboxError(f"no sandbox: {'; '.join(failed)}. Tests were not run. {INSTALL}")
