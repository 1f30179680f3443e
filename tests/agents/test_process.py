"""The driver: whatever an agent does, there is an attempt and no process left."""

from __future__ import annotations

import json
import os
import signal
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acr.agents import Report, process
from acr.errors import AgentError
from acr.nouns import Attempt, Event, Price, Profile, Usage
from tests.agents.fakes import ATTEMPT, PROFILE, FakeAgent, request

STUBBORN = """
import signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(600)
"""
POLITE = """
import signal, sys, time
def bye(*_):
    print("last words", flush=True)
    sys.exit(3)
signal.signal(signal.SIGTERM, bye)
print("ready", flush=True)
time.sleep(600)
"""
PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]{more})
print(child.pid, flush=True)
{then}
"""


def run(agent: FakeAgent, tmp_path: Path, **fields: object) -> tuple[Attempt, list[Event]]:
    """The attempt, and the events on the way."""
    events: list[Event] = []
    return process.run(agent, request(tmp_path, **fields), events.append), events


def transcript(tmp_path: Path) -> list[str]:
    return (tmp_path / "run" / "a1" / "transcript.jsonl").read_text().splitlines()


def gone(pid: int) -> bool:
    """Whether a process has ended; a zombie that nobody reaps has."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (ProcessLookupError, FileNotFoundError):
        return True


def until(condition: Callable[[], bool]) -> bool:
    limit = time.monotonic() + 10
    while not condition() and time.monotonic() < limit:
        time.sleep(0.01)
    return condition()


def test_lines_reach_the_reader_the_transcript_and_the_user(tmp_path: Path) -> None:
    attempt, events = run(FakeAgent("print('one'); print('two', end='')"), tmp_path)
    assert attempt.status == "done"
    assert attempt.exit_code == 0
    assert [e.text for e in events] == ["one", "two"]
    start, *lines, end = transcript(tmp_path)
    assert lines == ["one", "two"]
    assert json.loads(start)["profile"] == "fake-profile"
    assert json.loads(end)["status"] == "done"
    assert attempt.transcript == "a1/transcript.jsonl"


def test_what_is_written_is_private_and_redacted(tmp_path: Path) -> None:
    script = "import sys; print('key=sesame'); print('err sesame', file=sys.stderr)"
    agent = FakeAgent(script, lambda code, stderr: Report("error", "sesame!", message="sesame"))
    attempt, _ = run(agent, tmp_path, redact=lambda text: text.replace("sesame", "***"))
    folder = tmp_path / "run" / "a1"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for name in ("transcript.jsonl", "stderr.txt"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
        assert "sesame" not in (folder / name).read_text()
        assert "***" in (folder / name).read_text()
    assert (attempt.error, attempt.message) == ("***!", "***")


def test_the_agent_works_in_the_folder_and_knows_its_attempt(tmp_path: Path) -> None:
    script = "import os; print(os.getcwd(), os.environ['PWD'], os.environ['ACR_ATTEMPT'])"
    _, events = run(FakeAgent(script), tmp_path)
    assert events[0].text == f"{tmp_path} {tmp_path} {ATTEMPT}"


def test_standard_input_is_the_text_or_nothing(tmp_path: Path) -> None:
    script = "import sys; text = sys.stdin.read(); print(len(text), text[:5])"
    _, events = run(FakeAgent(script, stdin="héllo" * 100_000), tmp_path)
    assert events[0].text == "500000 héllo"
    _, events = run(FakeAgent(script), tmp_path)
    assert events[0].text == "0 "


def test_an_agent_that_never_reads_its_input_does_not_hang(tmp_path: Path) -> None:
    attempt, _ = run(FakeAgent("print('done')", stdin="x" * 1_000_000), tmp_path)
    assert attempt.status == "done"


@pytest.mark.parametrize(
    ("script", "seen"),
    [
        ("import sys; sys.stdout.buffer.write(b'\\xff\\xfe bad\\n')", "\ufffd\ufffd bad"),
        ("print('a\\r')", "a"),
        ("import sys; sys.stdout.write('no newline')", "no newline"),
    ],
)
def test_odd_output_is_read(tmp_path: Path, script: str, seen: str) -> None:
    _, events = run(FakeAgent(script), tmp_path)
    assert [e.text for e in events] == [seen]


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.binary(max_size=300))
def test_any_bytes_give_the_lines_they_hold(tmp_path: Path, data: bytes) -> None:
    agent = FakeAgent(f"import sys; sys.stdout.buffer.write({data!r})")
    run(agent, tmp_path)
    expected = [p.decode("utf-8", "replace").rstrip("\r") for p in data.split(b"\n")]
    assert agent.readers[0].lines == [line for line in expected if line]


def test_a_huge_line_is_cut_and_the_next_one_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "LINE_CAP", 1000)
    _, events = run(FakeAgent("print('x' * 5_000_000); print('next')"), tmp_path)
    assert [len(e.text) for e in events] == [1000, 4]


def test_a_flood_keeps_the_start_and_the_end_of_the_transcript(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("acr.agents.transcript.HEAD_CAP", 2000)
    monkeypatch.setattr("acr.agents.transcript.TAIL_CAP", 500)
    run(FakeAgent("for i in range(20_000): print(f'line {i}')"), tmp_path)
    lines = transcript(tmp_path)
    assert lines[1] == "line 0"
    assert "line 19999" in lines
    dropped = next(json.loads(line) for line in lines if "acr.dropped" in line)
    assert dropped["lines"] + len(lines) == 20_000 + 3  # start, end and the note itself
    assert sum(map(len, lines)) < 4000


def test_a_full_disk_costs_the_transcript_and_not_the_attempt(tmp_path: Path) -> None:
    folder = tmp_path / "run" / "a1"
    folder.mkdir(parents=True)
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    (folder / "transcript.jsonl").symlink_to("/dev/full")
    attempt, events = run(FakeAgent("print('x' * 100_000)"), tmp_path)
    assert attempt.status == "done"
    assert "No space left" in next(e.text for e in events if e.kind == "warning")


def test_only_the_end_of_stderr_is_kept(tmp_path: Path) -> None:
    script = "import sys; sys.stderr.write('x' * 1_000_000 + 'the end')"
    seen: list[str] = []

    def report(code: int, stderr: str) -> Report:
        seen.append(stderr)
        return Report("done")

    run(FakeAgent(script, report), tmp_path)
    assert len(seen[0]) == process.STDERR_CAP
    assert seen[0].endswith("the end")


def test_a_timeout_ends_the_agent_and_its_last_words_are_heard(tmp_path: Path) -> None:
    attempt, events = run(FakeAgent(POLITE), tmp_path, timeout=1.0)
    assert attempt.status == "timeout"
    assert "--timeout" in attempt.error
    assert attempt.exit_code == 3
    assert events[-1].text == "last words"


def test_an_agent_that_ignores_sigterm_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("acr.agents.group.GRACE", 0.3)
    attempt, _ = run(FakeAgent(STUBBORN), tmp_path, timeout=1.0)
    assert attempt.status == "timeout"
    assert attempt.exit_code == -signal.SIGKILL


ORPHAN = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        print(os.getpid(), flush=True)
        time.sleep(600)
    os._exit(0)
os.wait()
time.sleep(600)
"""


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="no /proc here")
def test_a_timeout_also_ends_a_daemon_that_nobody_is_the_parent_of(tmp_path: Path) -> None:
    attempt, events = run(FakeAgent(ORPHAN), tmp_path, timeout=1.0)
    assert attempt.status == "timeout"
    assert gone(int(events[0].text))


@pytest.mark.parametrize("more", ["", ", start_new_session=True"])
def test_a_timeout_also_ends_what_the_agent_started(tmp_path: Path, more: str) -> None:
    script = PARENT.format(more=more, then="time.sleep(600)")
    attempt, events = run(FakeAgent(script), tmp_path, timeout=1.0)
    assert attempt.status == "timeout"
    assert until(lambda: gone(int(events[0].text)))


def test_a_grandchild_that_keeps_the_pipe_open_is_not_waited_for(tmp_path: Path) -> None:
    started = time.monotonic()
    attempt, events = run(FakeAgent(PARENT.format(more="", then="")), tmp_path)
    assert attempt.status == "done"
    assert time.monotonic() - started < 10
    assert until(lambda: gone(int(events[0].text)))


def test_a_grandchild_that_floods_the_pipe_is_not_waited_for(tmp_path: Path) -> None:
    flood = "import subprocess, sys; subprocess.Popen(['yes'], start_new_session=False)"
    attempt, _ = run(FakeAgent(flood), tmp_path)
    assert attempt.status == "done"
    assert attempt.duration < 15


def test_an_agent_that_closes_its_output_is_waited_for(tmp_path: Path) -> None:
    script = "import os, time; os.close(1); os.close(2); time.sleep(0.5); os._exit(7)"
    attempt, _ = run(FakeAgent(script), tmp_path)
    assert attempt.exit_code == 7
    assert attempt.duration >= 0.5


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_aborts_and_handlers_are_put_back(tmp_path: Path, number: signal.Signals) -> None:
    before = signal.getsignal(number)
    agent = FakeAgent(POLITE, lambda code, stderr: Report("error", session="s1"))
    attempt = process.run(agent, request(tmp_path), lambda _: os.kill(os.getpid(), number))
    assert attempt.status == "aborted"
    assert attempt.session == "s1"
    assert json.loads(transcript(tmp_path)[-1])["status"] == "aborted"
    assert signal.getsignal(number) is before


def test_a_second_signal_kills_at_once(tmp_path: Path) -> None:
    def twice(_: Event) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    started = time.monotonic()
    attempt = process.run(FakeAgent(STUBBORN), request(tmp_path), twice)
    assert attempt.status == "aborted"
    assert attempt.exit_code == -signal.SIGKILL
    assert time.monotonic() - started < 4


def test_an_ignored_hangup_stays_ignored(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        script = "import time; print('ready', flush=True); time.sleep(0.3)"
        agent = FakeAgent(script)
        hang_up = lambda _: os.kill(os.getpid(), signal.SIGHUP)  # noqa: E731  # one use
        assert process.run(agent, request(tmp_path), hang_up).status == "done"
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_watcher_that_fails_leaves_no_process(tmp_path: Path) -> None:
    pids: list[int] = []

    def fail(event: Event) -> None:
        pids.append(int(event.text))
        raise BrokenPipeError

    script = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    with pytest.raises(BrokenPipeError):
        process.run(FakeAgent(script), request(tmp_path), fail)
    assert gone(pids[0])


def test_it_works_outside_the_main_thread(tmp_path: Path) -> None:
    found: list[Attempt] = []
    agent = FakeAgent("print('hi')")
    thread = threading.Thread(
        target=lambda: found.append(process.run(agent, request(tmp_path), lambda _: None))
    )
    thread.start()
    thread.join()
    assert found[0].status == "done"


def test_a_missing_program_names_the_command_that_installs_it(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match="npm install -g fake"):
        run(FakeAgent(argv=("no-such-agent",)), tmp_path)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match="not a folder"):
        run(FakeAgent("pass"), tmp_path, cwd=tmp_path / "nowhere")


def test_a_program_that_cannot_be_executed_is_named(tmp_path: Path) -> None:
    program = tmp_path / "broken"
    program.write_text("not a program")
    program.chmod(0o755)
    with pytest.raises(AgentError, match="broken"):
        run(FakeAgent(argv=(str(program),)), tmp_path)


def test_a_prompt_too_long_for_the_command_line_says_so(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match="too long"):
        run(FakeAgent("pass", argv=("true", "x" * 4_000_000)), tmp_path)


def test_a_prompt_with_a_nul_is_an_error_and_not_a_crash(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match="could not be started"):
        run(FakeAgent("pass", argv=("true", "a\0b")), tmp_path)


USED = Usage(input=1_000_000, output=1_000_000)
PAID = Profile("p", "fake", "fake-model", "mid", price=Price(input=3, output=5))


@pytest.mark.parametrize(
    ("profile", "report", "expected"),
    [
        (PROFILE, Report("done", usage=USED, cost=0.5), (0.5, "agent")),
        (PAID, Report("done", usage=USED, cost=0.5), (8.0, "override")),
        (PAID, Report("done"), (None, "")),
        (PROFILE, Report("done", usage=USED), (None, "")),
        (PROFILE, Report("done", usage=USED, model="claude-opus-5-5"), (24.0, "price table")),
        (
            PROFILE,
            Report("done", usage=USED, model="gpt-5.5"),
            (35.0, "price table, long requests at the usual rate"),
        ),
        (
            PROFILE,
            Report(
                "done", usage=USED, model="gpt-5.5", requests=(("gpt-5.5", USED), ("other", USED))
            ),
            (55.0, "price table"),
        ),
        (
            PAID,
            Report(
                "done", usage=USED + USED, by_model={"fake-model": USED, "claude-opus-5-5": USED}
            ),
            (32.0, "override"),
        ),
        (PAID, Report("done", usage=USED, by_model={"fake-model": USED, "?": USED}), (None, "")),
    ],
)
def test_the_cost_says_where_it_comes_from(
    tmp_path: Path, profile: Profile, report: Report, expected: tuple[float | None, str]
) -> None:
    attempt, _ = run(FakeAgent("pass", lambda code, stderr: report), tmp_path, profile=profile)
    assert (attempt.cost, attempt.cost_source) == expected


def test_interactive_runs_in_the_foreground_and_reads_usage_afterwards(tmp_path: Path) -> None:
    agent = FakeAgent("pass", lambda code, stderr: Report("error", "nothing fed", usage=USED))
    attempt = process.run_interactive(agent, request(tmp_path))
    assert (attempt.status, attempt.error, attempt.usage) == ("done", "", USED)


def test_interactive_leaves_the_interrupt_to_the_agent(tmp_path: Path) -> None:
    script = "import os, signal; os.kill(os.getppid(), signal.SIGINT)"
    before = signal.getsignal(signal.SIGINT)
    assert process.run_interactive(FakeAgent(script), request(tmp_path)).status == "done"
    assert signal.getsignal(signal.SIGINT) is before


def test_interactive_passes_sigterm_on_and_is_recorded_as_aborted(tmp_path: Path) -> None:
    script = "import os, signal, time; os.kill(os.getppid(), signal.SIGTERM); time.sleep(600)"
    attempt = process.run_interactive(FakeAgent(script), request(tmp_path))
    assert attempt.status == "aborted"


def test_interactive_that_fails_says_so(tmp_path: Path) -> None:
    attempt = process.run_interactive(FakeAgent("import sys; sys.exit(9)"), request(tmp_path))
    assert (attempt.status, attempt.exit_code) == ("error", 9)
    assert "exit code 9" in attempt.error
