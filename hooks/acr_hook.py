"""What agents execute: notes one event of a session for `acr ingest`, and never stands in the way.

    python -I -S acr_hook.py AGENT EVENT --acr-hook < payload.json

One JSON line goes to the spool in acr's folder; the exit code is 0 and nothing is printed,
except for what `acr hooks advise on` and `acr hooks subagents on` ask for. Standard library only.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import time

TYPE_CHECKING = False  # importing typing takes longer than all the rest
if TYPE_CHECKING:
    from typing import Any

    Data = dict[str, Any]

PATIENCE = 5.0
"""Seconds that it waits for the end of its input."""
READ = 4 << 20
"""Bytes of a payload that are read; a longer one is passed over."""
FULL = 64 << 20
"""Bytes of the spool from which on nothing is added: nobody reads it."""
PROMPT, COMMAND, OUTPUT = 32_000, 4_000, 4_000
"""Characters that are kept."""
KINDS = {
    "SessionStart": "begin",
    "UserPromptSubmit": "prompt",
    "BeforeAgent": "prompt",
    "PreToolUse": "before",
    "PostToolUse": "tool",
    "PostToolUseFailure": "tool",
    "AfterTool": "tool",
    "PostModelRequest": "request",
    "Stop": "stop",
    "StopFailure": "stop",
    "AfterAgent": "stop",
    "Interrupt": "interrupt",
    "SubagentStop": "subagent",
    "SessionEnd": "end",
}
"""Event of an agent -> what it means; others are not noted."""
IDS = (
    "session_id",
    "turn_id",
    "prompt_id",
    "transcript_path",
    "agent_transcript_path",
    "cwd",
    "model",
    "agent_id",
)
SUBAGENTS = {"claude": ("Agent", "Task"), "codex": ("spawn_agent",)}
"""Agent -> its tools that start a sub-agent."""
ADVISED = {"claude": "UserPromptSubmit", "codex": "UserPromptSubmit", "qwen": "UserPromptSubmit"}
ADVISED |= {"gemini": "BeforeAgent"}


def home() -> str:
    """acr's folder, as acr.settings.home() has it."""
    if mine := os.environ.get("ACR_HOME"):
        return os.path.abspath(os.path.expanduser(mine))
    data = os.environ.get("XDG_DATA_HOME", "")
    if not os.path.isabs(data):
        mac = sys.platform == "darwin"
        data = os.path.expanduser("~/Library/Application Support" if mac else "~/.local/share")
    return os.path.join(data, "acr")


def main(agent: str, event: str, folder: str) -> str:
    """Notes the event; returns what the agent is to read on standard output."""
    raw = sys.stdin.buffer.read(READ + 1)
    while len(raw) > READ and sys.stdin.buffer.read(READ):
        pass  # an agent may complain when nobody listens to the end
    signal.setitimer(signal.ITIMER_REAL, 0)
    kind = KINDS.get(event)
    data = json.loads(raw) if kind and len(raw) <= READ else None
    if not isinstance(data, dict):
        return ""
    line, said = {"kind": kind, "agent": agent, "event": event, "t": time.time()}, ""
    line |= {name: data[name] for name in IDS if isinstance(data.get(name), str)}
    if kind == "before":
        said = routed(agent, data, line, folder)
    if NOTES[kind](data, line) if kind in NOTES else True:
        write(folder, line)
    if data.get("agent_id"):
        return said
    if kind == "prompt":
        said = advice(agent, data, folder)
    if kind in ("stop", "end") or (kind == "prompt" and watched(line, folder)):
        start(folder)
    return said


def prompt(data: Data, line: Data) -> bool:
    """The prompt, and the commit that it finds; agents also tell of prompts without text."""
    line["prompt"] = text(data.get("prompt"))[:PROMPT]
    line["commit"] = commit(text(data.get("cwd")))
    return bool(line["prompt"].strip())


def before(data: Data, line: Data) -> bool:
    """The call of a tool matters where its input was changed."""
    return "routed" in line


def is_edit(name: str) -> bool:
    """Whether a tool of that name changes files."""
    return any(word in name.lower() for word in ("edit", "write", "patch", "replace"))


def tool(data: Data, line: Data) -> bool:
    """Commands and edits; what was read or searched is nobody's business."""
    given, answer = data.get("tool_input"), data.get("tool_response")
    given = given if isinstance(given, dict) else {}
    path = given.get("file_path") or given.get("filePath") or given.get("path") or ""
    name = text(data.get("tool_name"))
    command, edits = text(given.get("command")), is_edit(name)
    if not command and not edits:
        return False
    line |= {"tool": name, "path": text(path)[:COMMAND], "edits": edits}
    line["command"] = "" if edits else command[:COMMAND]
    line["failed"] = line["event"] == "PostToolUseFailure"
    line["exit"] = answer.get("exit_code") if isinstance(answer, dict) else None
    said = answer if isinstance(answer, str) else json.dumps(answer or data.get("error") or "")
    line["output"] = "" if edits else said[-OUTPUT:]
    return True


def stop(data: Data, line: Data) -> bool:
    """The agent's last words, by which a transcript is known to be complete."""
    line["message"] = text(data.get("last_assistant_message") or data.get("prompt_response"))
    line["message"] = line["message"][:COMMAND]
    line["failed"] = line["event"] == "StopFailure"
    return True


def request(data: Data, line: Data) -> bool:
    """Tokens of one model request."""
    line["usage"] = data.get("token_usage")
    return isinstance(line["usage"], dict)


NOTES = {"prompt": prompt, "before": before, "tool": tool, "stop": stop, "request": request}


def text(value: Any) -> str:
    """`value` when it is text."""
    return value if isinstance(value, str) else ""


def commit(folder: str) -> str:
    """The commit that HEAD names around `folder`; empty when that takes more than a look."""
    try:
        while not os.path.exists(os.path.join(folder, ".git")):
            above = os.path.dirname(folder)
            if above == folder:
                return ""
            folder = above
        git = shared = os.path.join(folder, ".git")
        if os.path.isfile(git):  # a linked work tree
            git = shared = os.path.join(folder, content(git).partition("gitdir: ")[2])
            shared = os.path.join(git, content(os.path.join(git, "commondir")))
        head = content(os.path.join(git, "HEAD"))
        return content(os.path.join(shared, head[5:])) if head.startswith("ref: ") else head
    except OSError:
        return ""


def content(path: str) -> str:
    """The beginning of a file."""
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read(1000).strip()


def write(folder: str, line: Data) -> None:
    """Appends the line, whole: the file that ingest takes away is not written to any more."""
    spool = os.path.join(folder, "spool")
    if not os.path.isdir(spool):
        os.makedirs(os.path.dirname(folder), exist_ok=True)
        for made in (folder, spool):
            os.makedirs(made, mode=0o700, exist_ok=True)
    line["id"] = f"{os.getpid()}-{time.time_ns()}"
    # what a full disk cut off before ends with the line, and takes nothing else with it
    data = b"\n" + json.dumps(line).encode() + b"\n"
    for name in ("events.jsonl", "events.jsonl", "events.jsonl", f"events-{line['id']}.jsonl"):
        path = os.path.join(spool, name)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC
        file = os.open(path, flags, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            about = os.fstat(file)
            if about.st_nlink and about.st_ino == os.stat(path).st_ino:
                if about.st_size < FULL:
                    os.write(file, data)
                return
        except (BlockingIOError, FileNotFoundError):  # ingest has just taken it
            pass
        finally:
            os.close(file)


def settings(folder: str) -> Data:
    """What `acr hooks` wrote for the hooks."""
    return stored(os.path.join(folder, "hooks.json"))


def table(folder: str) -> Data:
    """What the last ingest worked out in advance."""
    return stored(os.path.join(folder, "cache", "advice.json"))


def stored(path: str) -> Data:
    """The JSON object in a file; empty without it."""
    try:
        with open(path, "rb") as file:
            found = json.load(file)
    except FileNotFoundError:
        return {}
    return found if isinstance(found, dict) else {}


def watched(line: Data, folder: str) -> bool:
    """Whether the tree that a prompt finds is worth a look: its turn will be verified."""
    roots = table(folder).get("roots", [])
    here = os.path.join(line.get("cwd", ""), "")
    return any(here.startswith(os.path.join(root, "")) for root in roots)


def dimension(asked: str, found: Data, session: str) -> str:
    """The kind of request whose words occur most, else the session's last one."""
    low = asked.lower()
    counts = {d: sum(w in low for w in words) for d, words in found.get("words", {}).items()}
    best = max(counts, key=lambda kind: counts[kind], default="")
    if best and counts[best]:
        return best
    return text(found.get("sessions", {}).get(session, ["", ""])[0])


def advice(agent: str, data: Data, folder: str) -> str:
    """A line of context when memory says that another profile clearly wins."""
    if agent not in ADVISED or not settings(folder).get("advise"):
        return ""
    found, session = table(folder), text(data.get("session_id"))
    last = found.get("sessions", {}).get(session, ["", ""])[1]
    model = text(data.get("model")) or last or found.get("models", {}).get(agent, "")
    kind = dimension(text(data.get("prompt")), found, session)
    line = found.get("lines", {}).get(kind, {}).get(model, "")
    output = {"hookEventName": ADVISED[agent], "additionalContext": line}
    return json.dumps({"hookSpecificOutput": output}) if line else ""


def routed(agent: str, data: Data, line: Data, folder: str) -> str:
    """The input of a sub-agent's tool with the model that memory would choose from the pool."""
    given = data.get("tool_input")
    if data.get("tool_name") not in SUBAGENTS.get(agent, ()) or not isinstance(given, dict):
        return ""
    about = settings(folder)
    pool = about.get("pool", {}).get(agent, []) if about.get("subagents") else []
    if not pool or given.get("model") in pool:
        return ""
    found = table(folder)
    asked = " ".join(text(given.get(name)) for name in ("prompt", "message", "description"))
    chosen = found.get("subagents", {}).get(agent, {})
    kind = dimension(asked, found, text(data.get("session_id")))
    model, why = chosen.get(kind) or chosen.get("") or [pool[0], "the first of the pool"]
    if model not in pool:
        model, why = pool[0], "the first of the pool"
    line |= {"routed": model, "why": why, "dimension": kind}
    output = {
        "hookEventName": "PreToolUse",
        "permissionDecision": "allow",
        "permissionDecisionReason": f"acr: {model}, {why}",
        "updatedInput": {**given, "model": model},
    }
    return json.dumps({"hookSpecificOutput": output})


def start(folder: str) -> None:
    """Starts `acr ingest`, which outlives the agent and holds none of its pipes."""
    python = settings(folder).get("python")
    if not isinstance(python, str) or not os.access(python, os.X_OK):
        return
    if os.fork():
        return
    try:
        os.setsid()
        os.chdir("/")
        null = os.open(os.devnull, os.O_RDWR)
        for number in range(3):
            os.dup2(null, number)
        os.closerange(3, 256)
        os.execv(python, [python, "-m", "acr", "ingest"])  # noqa: S606 (no shell is wanted)
    finally:
        os._exit(0)


def give_up(*_: object) -> None:
    """The end, whatever is going on."""
    os._exit(0)


if __name__ == "__main__":
    try:
        signal.signal(signal.SIGALRM, give_up)
        signal.setitimer(signal.ITIMER_REAL, PATIENCE)
        own = "ACR_ATTEMPT" in os.environ  # acr runs this agent itself and sees what it does
        answer = "" if own else main(sys.argv[1], sys.argv[2], home())
        if answer:
            sys.stdout.write(answer)
            sys.stdout.flush()
    except BaseException:  # noqa: S110 (whatever it is, it is not the agent's trouble)
        pass
    finally:
        os._exit(0)
