"""A gateway is a process of its own that ends with whoever started it and leaves nothing."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from acr.errors import AcrError, SettingsError
from acr.gateway import process
from acr.nouns import Step, from_json
from acr.settings import GatewaySettings
from tests.gateway.conftest import PATHS, Gate, body, until
from tests.model_server import ModelServer

Models = Callable[..., ModelServer]
Gates = Callable[..., Gate]
FULL = Path("/dev/full")


def config(**fields: Any) -> Any:
    """A gateway without a provider."""
    return process.config(GatewaySettings(), {"mock": "http://127.0.0.1:9"}, **fields)


def is_there(pid: int) -> bool:
    """Whether a process runs."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def test_it_is_known_while_it_runs_and_gone_when_it_ends(models: Models, gate: Gates) -> None:
    one, two = gate(models().url), gate(models().url)
    one.ask(PATHS["chat"], body("chat"))
    first, second = process.alive()
    assert [first.pid, second.pid] == [one.started.pid, two.started.pid]
    assert first.port != second.port
    assert first.total
    assert second.total
    assert (first.total["steps"], second.total["steps"]) == (1, 0)
    assert set(first.models) == {"mock-big"}
    one.finish()
    assert [g.pid for g in process.alive()] == [two.started.pid]
    two.finish()
    assert process.alive() == []


def test_it_listens_on_the_loopback_only(gate: Gates) -> None:
    started = gate("http://127.0.0.1:9").started
    for host, is_open in (("127.0.0.1", True), ("127.0.0.2", False)):
        with socket.socket() as caller:
            caller.settimeout(5)
            assert (caller.connect_ex((host, started.port)) == 0) == is_open


def test_its_token_shows_in_no_command_line(gate: Gates) -> None:
    started = gate("http://127.0.0.1:9").started
    token = started.address("mock").split("/")[3]
    proc = Path(f"/proc/{started.pid}")
    assert token.encode() not in (proc / "cmdline").read_bytes()
    assert token.encode() not in (proc / "environ").read_bytes()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_with_its_parent(number: signal.Signals, home: Path) -> None:
    code = (
        "import time; from acr.gateway import process; from acr.settings import GatewaySettings\n"
        "started = process.start(process.config(GatewaySettings(), {}))\n"
        "print(started.pid, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    with parent.stdout as said:
        gateway = int(said.readline())
        assert is_there(gateway)
        parent.send_signal(number)
        parent.wait()
    until(lambda: not is_there(gateway))
    assert process.alive() == []


def test_what_a_killed_one_leaves_is_tidied_away(gate: Gates, home: Path) -> None:
    gateway = gate("http://127.0.0.1:9")
    os.kill(gateway.started.pid, signal.SIGKILL)
    gateway.started.wait()
    assert list((home / "gateway").glob("*.json"))
    assert process.alive() == []
    assert not list((home / "gateway").glob("*.json"))
    gateway.finish()
    assert not gateway.complete


def test_it_runs_from_a_folder_with_modules_of_the_same_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gate: Gates
) -> None:
    for name in ("json.py", "uvicorn.py", "acr.py"):
        (tmp_path / name).write_text("raise SystemExit('the wrong module')")
    monkeypatch.chdir(tmp_path)
    assert gate("http://127.0.0.1:9").started.port


def test_a_port_that_is_taken_is_said() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(AcrError, match=f"port {port} cannot be used: .*; choose another"):
            process.start(config(port=port))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("dialects = [", "tiers/bad.toml: "),
        ('dialects = ["smoke"]\n[mid]\nmodel = "x"', "one of responses, chat, messages"),
        ('dialects = ["chat"]', "must be a table with a model"),
        ('dialects = ["chat"]\n[mid]\nmodel = ""', "mid.model must be the model's name"),
        ('dialects = ["chat"]\n[middle]\nmodel = "x"', "did you mean mid?"),
    ],
)
def test_a_tier_map_that_is_wrong_is_named(text: str, told: str, home: Path) -> None:
    folder = home / "profiles" / "tiers"
    folder.mkdir(parents=True)
    (folder / "bad.toml").write_text(text)
    with pytest.raises(AcrError) as error:
        process.start(config())
    assert told in str(error.value).replace("\\", "")


def test_an_unknown_router_and_a_wrong_address_are_said() -> None:
    limits = GatewaySettings(router="oracle")
    with pytest.raises(AcrError, match=r"no router called 'oracle'; known: .*frontier,minimal"):
        process.start(process.config(limits, {}))
    for url in ("localhost:4000", "ftp://x", "http://", "https://a b"):
        with pytest.raises(SettingsError, match=r"gateway\.upstreams\.openai: .* is no http"):
            process.config(GatewaySettings(upstreams={"openai": url}), {})


def test_steps_are_recorded_in_a_file(models: Models, gate: Gates, tmp_path: Path) -> None:
    record = tmp_path / "steps.jsonl"
    gateway = gate(models().url, record=str(record))
    for _ in range(2):
        gateway.ask(PATHS["messages"], body("messages"))
    assert gateway.finish() == []
    steps = [from_json(Step, json.loads(line)) for line in record.read_text().splitlines()]
    assert [s.n for s in steps] == [1, 2]
    assert record.stat().st_mode & 0o077 == 0


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
def test_on_a_full_disk_recording_stops_and_routing_goes_on(models: Models, gate: Gates) -> None:
    server = models()
    gateway = gate(server.url, record=str(FULL), router="minimal")
    for _ in range(3):
        assert gateway.ask(PATHS["messages"], body("messages")).status == 200
    (running,) = process.alive()
    assert running.fault == "No space left on device"
    assert running.total
    assert running.total["steps"] == 3
    assert {r.model for r in server.requests} == {"mock-tiny"}


def test_where_nothing_can_be_written_it_serves_all_the_same(
    models: Models, gate: Gates, home: Path
) -> None:
    home.mkdir()
    (home / "gateway").write_text("in the way")
    gateway = gate(models().url)
    assert gateway.ask(PATHS["chat"], body("chat")).status == 200
    assert len(gateway.finish()) == 1


def test_calls_under_way_are_given_a_moment_at_the_end(models: Models, gate: Gates) -> None:
    from tests.model_server import Step as Reply

    gateway = gate(models(steps=(Reply(message="late", waits_after=1),)).url)
    with contextlib.closing(gateway.connect()) as connection:
        connection.request("POST", gateway.path(PATHS["messages"]), body("messages"))
        connection.getresponse().read1()
        (step,) = gateway.finish()
    assert (step.status, step.cost) == (0, None)
    assert gateway.complete
