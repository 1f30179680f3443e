"""A model server on the loopback: scripted answers in the dialects that coding agents speak.

    python -m tests.model_server --port 18431 --script script.json

serves OpenAI Responses and Chat Completions, Anthropic Messages and Gemini, streamed or not.
The script says what the model does, step by step:

    {"steps": [{"shell": "printf 'hi\\n' >> hello.txt"}, {"message": "Done."}],
     "by_model": {"small": [{"error": 429, "body": "slow down"}]},
     "by_prompt": {"find the bug": [{"message": "It is in line 3."}]},
     "no_tools": "A title", "usage": {"input": 1200, "output": 34, "cached": 200},
     "answers_as": {"alias": "model-20260101"}, "models": ["small", "big"]}

A step is {"shell": COMMAND}, {"tool": NAME, "args": {...}}, {"tool": NAME, "input": TEXT},
{"message": TEXT} or {"error": STATUS, "body": TEXT}, each with an optional "usage" and
"delay" in seconds, and for streams "breaks_after" or "waits_after" a number of events.
Which step is next follows from the request alone: it is the number of tool results since the
user last spoke, so retries and concurrent sessions do no harm.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import json
import threading
import time
import uuid
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol

Json = dict[str, Any]
SHELLS = (
    "exec_command",
    "shell_command",
    "local_shell",
    "shell",
    "Bash",
    "bash",
    "run_shell_command",
    "exec",
)
"""What agents call the tool that runs a command, in order of preference."""
NOISE = (
    "<system-reminder>",
    "<environment_context",
    "<subagent_notification",
    "<user_instructions",
)
"""How texts begin that agents, not people, put into user messages."""


@dataclass(frozen=True, slots=True)
class Step:
    """One answer of the model."""

    message: str = ""
    shell: str | None = None
    tool: str | None = None
    args: Mapping[str, Any] = field(default_factory=dict)
    input: str | None = None
    """Free text for a custom tool, instead of `args`."""
    error: int | None = None
    """HTTP status."""
    body: str = "scripted error"
    usage: Mapping[str, int] = field(default_factory=dict)
    """input (cached included), cached, written (cache write), output, reasoning."""
    delay: float = 0.0
    breaks_after: int | None = None
    """Events of a streamed answer after which the connection is broken off."""
    waits_after: int | None = None
    """Events of a streamed answer after which nothing comes until the server stops."""


Steps = Sequence[Step]


@dataclass(frozen=True, slots=True)
class Script:
    """What the model does."""

    steps: Steps = (Step(message="ok"),)
    by_model: Mapping[str, Steps] = field(default_factory=dict)
    by_prompt: Mapping[str, Steps] = field(default_factory=dict)
    """Steps for requests whose last user text contains the key; goes before by_model."""
    no_tools: str | Step = "A title"
    """The answer to requests that offer no tools: titles, and all of aider's."""
    usage: Mapping[str, int] = field(default_factory=dict)
    answers_as: Mapping[str, str] = field(default_factory=dict)
    """Model asked for -> model named in the answer."""
    models: Sequence[str] = ("mock-big", "mock-small")

    @classmethod
    def parse(cls, data: Json) -> Script:
        """A script from its JSON form."""
        lists = {k: _steps(v) for k, v in data.items() if k == "steps"}
        tables = {
            k: {name: _steps(steps) for name, steps in v.items()}
            for k, v in data.items()
            if k in {"by_model", "by_prompt"}
        }
        return cls(**{**data, **lists, **tables})

    def step(self, asked: Asked) -> Step:
        """The answer to one request."""
        if not asked.tools:
            plain = self.no_tools
            return plain if isinstance(plain, Step) else Step(message=plain)
        by_prompt = (s for key, s in self.by_prompt.items() if key in asked.prompt)
        steps = next(by_prompt, None) or self.by_model.get(asked.model) or self.steps
        return steps[min(asked.step, len(steps) - 1)]


def _steps(data: Sequence[Json]) -> Steps:
    return tuple(Step(**step) for step in data)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, as the log keeps it."""

    path: str
    dialect: str
    model: str
    prompt: str
    """The last user text."""
    step: int
    """Tool results since then."""
    tools: tuple[str, ...]
    effort: str | None
    stream: bool
    headers: Mapping[str, str]
    """Lower-case names; of credentials only the name is kept."""
    namespaces: Mapping[str, str] = field(default_factory=dict)
    """Tool -> the namespace that a call has to name."""
    raw: bytes = b""
    """The body, unpacked."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A text, or a call of a tool."""

    text: str = ""
    tool: str | None = None
    args: Mapping[str, Any] = field(default_factory=dict)
    input: str | None = None
    namespace: str | None = None


@dataclass(frozen=True, slots=True)
class Tokens:
    """What an answer says it used; `input` includes `cached` and `written`."""

    input: int = 1200
    output: int = 34
    cached: int = 200
    written: int = 0
    reasoning: int = 8


class Dialect(Protocol):
    """How one API family is read and written."""

    name: str

    def asked(self, body: Json) -> tuple[str, int]:
        """(last user text, tool results since)."""

    def tools(self, body: Json) -> list[Json]:
        """The tools on offer."""

    def effort(self, body: Json) -> str | None:
        """The reasoning effort asked for."""

    def whole(self, reply: Reply, model: str, used: Tokens) -> Json:
        """The answer in one piece."""

    def stream(self, reply: Reply, model: str, used: Tokens) -> Iterator[tuple[str, Json | str]]:
        """(event name or "", data) of the streamed answer."""


def _id(prefix: str) -> str:
    return f"{prefix}_{uuid.uuid4().hex[:16]}"


def _texts(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text", "") for part in content or [] if not _noise(part))


def _noise(part: Json) -> bool:
    return bool(part.get("text", "").startswith(NOISE))


def _count(turns: Iterator[tuple[str, int]]) -> tuple[str, int]:
    """The last text that a person said, and the results since; turns are (text, results)."""
    prompt, results = "", 0
    for text, found in turns:
        if text and not found and not text.startswith(NOISE):
            prompt, results = text, 0
        results += found
    return prompt, results


class Responses:
    """OpenAI Responses: codex, and opencode's openai provider."""

    name = "responses"

    def asked(self, body: Json) -> tuple[str, int]:
        """Tool results are items of their own."""
        items = body.get("input") or []
        if isinstance(items, str):
            return items, 0
        return _count(
            (_texts(i.get("content")), 0)
            if i.get("role") == "user"
            else ("", i.get("type", "").endswith("_output"))
            for i in items
        )

    def tools(self, body: Json) -> list[Json]:
        """Newer codex models carry their tools in an input item."""
        extra = (i for i in body.get("input") or [] if isinstance(i, dict))
        nested = (t for i in extra if i.get("type") == "additional_tools" for t in i["tools"])
        return [*(body.get("tools") or []), *nested]

    def effort(self, body: Json) -> str | None:
        """In `reasoning`."""
        return (body.get("reasoning") or {}).get("effort")

    def whole(self, reply: Reply, model: str, used: Tokens) -> Json:
        """A response object with one output item."""
        usage = {
            "input_tokens": used.input,
            "input_tokens_details": {
                "cached_tokens": used.cached,
                "cache_write_tokens": used.written,
            },
            "output_tokens": used.output,
            "output_tokens_details": {"reasoning_tokens": used.reasoning},
            "total_tokens": used.input + used.output,
        }
        return {
            "id": _id("resp"),
            "object": "response",
            "created_at": int(time.time()),
            "model": model,
            "status": "completed",
            "output": [self._item(reply)],
            "usage": usage,
        }

    def stream(self, reply: Reply, model: str, used: Tokens) -> Iterator[tuple[str, Json | str]]:
        """The item is announced, its text sent, and the whole response at the end."""
        final = self.whole(reply, model, used)
        item = final["output"][0]
        at: Json = {"output_index": 0, "item_id": item["id"]}
        begun = {**final, "status": "in_progress", "output": [], "usage": None}
        events: list[Json] = [{"type": "response.created", "response": begun}]
        if reply.tool is None:
            empty = {**item, "content": [], "status": "in_progress"}
            part = {"type": "output_text", "text": "", "annotations": []}
            events += [
                {"type": "response.output_item.added", **at, "item": empty},
                {"type": "response.content_part.added", **at, "content_index": 0, "part": part},
                {
                    "type": "response.output_text.delta",
                    **at,
                    "content_index": 0,
                    "delta": reply.text,
                },
            ]
        events += [
            {"type": "response.output_item.done", **at, "item": item},
            {"type": "response.completed", "response": final},
        ]
        for n, event in enumerate(events):
            yield event["type"], {**event, "sequence_number": n}

    def _item(self, reply: Reply) -> Json:
        item: Json = {"id": _id("item"), "status": "completed"}
        if reply.tool is None:
            part = {"type": "output_text", "text": reply.text, "annotations": []}
            return {**item, "type": "message", "role": "assistant", "content": [part]}
        item |= {"call_id": _id("call"), "name": reply.tool}
        if reply.namespace:
            item["namespace"] = reply.namespace
        if reply.input is not None:
            return {**item, "type": "custom_tool_call", "input": reply.input}
        return {**item, "type": "function_call", "arguments": json.dumps(reply.args)}


class Chat:
    """OpenAI Chat Completions: opencode's compatible providers, qwen, aider."""

    name = "chat"

    def asked(self, body: Json) -> tuple[str, int]:
        """Tool results have a role of their own."""
        return _count(
            (_texts(m.get("content")) if m["role"] == "user" else "", m["role"] == "tool")
            for m in body.get("messages") or []
        )

    def tools(self, body: Json) -> list[Json]:
        """Functions."""
        return body.get("tools") or []

    def effort(self, body: Json) -> str | None:
        """At the top."""
        return body.get("reasoning_effort")

    def whole(self, reply: Reply, model: str, used: Tokens) -> Json:
        """One choice."""
        message: Json = {"role": "assistant", "content": reply.text or None}
        if reply.tool is not None:
            message["tool_calls"] = self._calls(reply)
        stop = "stop" if reply.tool is None else "tool_calls"
        return {
            **self._head(model, "chat.completion"),
            "choices": [{"index": 0, "message": message, "finish_reason": stop}],
            "usage": self._usage(used),
        }

    def stream(self, reply: Reply, model: str, used: Tokens) -> Iterator[tuple[str, Json | str]]:
        """Deltas, then usage in a chunk without choices."""
        head = self._head(model, "chat.completion.chunk")
        calls = [{"index": 0, **call} for call in self._calls(reply)]
        delta: Json = {"content": reply.text} if reply.tool is None else {"tool_calls": calls}
        stop = "stop" if reply.tool is None else "tool_calls"
        deltas: list[tuple[Json, str | None]] = [
            ({"role": "assistant", "content": ""}, None),
            (delta, None),
            ({}, stop),
        ]
        for change, finish in deltas:
            choice = {"index": 0, "delta": change, "finish_reason": finish}
            yield "", {**head, "choices": [choice]}
        yield "", {**head, "choices": [], "usage": self._usage(used)}
        yield "", "[DONE]"

    def _head(self, model: str, kind: str) -> Json:
        return {"id": _id("chatcmpl"), "object": kind, "created": int(time.time()), "model": model}

    def _calls(self, reply: Reply) -> list[Json]:
        call = {"name": reply.tool, "arguments": json.dumps(reply.args)}
        return [{"id": _id("call"), "type": "function", "function": call}]

    def _usage(self, used: Tokens) -> Json:
        return {
            "prompt_tokens": used.input,
            "completion_tokens": used.output,
            "total_tokens": used.input + used.output,
            "prompt_tokens_details": {"cached_tokens": used.cached},
            "completion_tokens_details": {"reasoning_tokens": used.reasoning},
        }


class Messages:
    """Anthropic Messages: claude, and opencode's anthropic provider."""

    name = "messages"

    def asked(self, body: Json) -> tuple[str, int]:
        """Tool results are blocks of user messages."""
        said = (m["content"] for m in body.get("messages") or [] if m["role"] == "user")
        return _count(
            (_texts(c), 0 if isinstance(c, str) else sum(b["type"] == "tool_result" for b in c))
            for c in said
        )

    def tools(self, body: Json) -> list[Json]:
        """With a name each."""
        return body.get("tools") or []

    def effort(self, body: Json) -> str | None:
        """In `output_config`."""
        return (body.get("output_config") or {}).get("effort")

    def whole(self, reply: Reply, model: str, used: Tokens) -> Json:
        """One content block."""
        return {
            "id": _id("msg"),
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": self._blocks(reply),
            "stop_reason": "end_turn" if reply.tool is None else "tool_use",
            "stop_sequence": None,
            "usage": {
                "input_tokens": used.input - used.cached - used.written,
                "cache_creation_input_tokens": used.written,
                "cache_read_input_tokens": used.cached,
                "output_tokens": used.output,
            },
        }

    def stream(self, reply: Reply, model: str, used: Tokens) -> Iterator[tuple[str, Json | str]]:
        """Each block is opened empty, filled and closed; usage comes first and last."""
        message = self.whole(reply, model, used)
        begun = {**message, "content": [], "stop_reason": None}
        begun["usage"] = {**message["usage"], "output_tokens": 1}
        yield "message_start", {"type": "message_start", "message": begun}
        for at, block in enumerate(message["content"]):
            if block["type"] == "text":
                empty, delta = {**block, "text": ""}, {"type": "text_delta", "text": block["text"]}
            else:
                given = json.dumps(reply.args)
                empty = {**block, "input": {}}
                delta = {"type": "input_json_delta", "partial_json": given}
            for kind, part in (
                ("content_block_start", {"content_block": empty}),
                ("content_block_delta", {"delta": delta}),
                ("content_block_stop", {}),
            ):
                yield kind, {"type": kind, "index": at, **part}
        stop = {"stop_reason": message["stop_reason"], "stop_sequence": None}
        end = {"type": "message_delta", "delta": stop, "usage": message["usage"]}
        yield "message_delta", end
        yield "message_stop", {"type": "message_stop"}

    def _blocks(self, reply: Reply) -> list[Json]:
        """A text, a call, or a text before a call."""
        text = {"type": "text", "text": reply.text}
        if reply.tool is None:
            return [text]
        call = {"type": "tool_use", "id": _id("toolu"), "name": reply.tool, "input": reply.args}
        return [text, call] if reply.text else [call]


class Gemini:
    """Google's generateContent: gemini-cli."""

    name = "gemini"

    def asked(self, body: Json) -> tuple[str, int]:
        """Tool results are parts."""
        contents = [c for c in body.get("contents") or [] if c.get("role") != "model"]
        return _count(
            (_texts(c["parts"]), any("functionResponse" in p for p in c["parts"])) for c in contents
        )

    def tools(self, body: Json) -> list[Json]:
        """Declarations in groups."""
        groups = body.get("tools") or []
        return [tool for group in groups for tool in group.get("functionDeclarations", [])]

    def effort(self, body: Json) -> str | None:
        """A thinking level or budget."""
        thinking = (body.get("generationConfig") or {}).get("thinkingConfig") or {}
        asked = thinking.get("thinkingLevel") or thinking.get("thinkingBudget")
        return None if asked is None else str(asked)

    def whole(self, reply: Reply, model: str, used: Tokens) -> Json:
        """One candidate with one part; thoughts are counted apart from the candidate."""
        call = {"functionCall": {"name": reply.tool, "args": reply.args}}
        part: Json = {"text": reply.text} if reply.tool is None else call
        content = {"role": "model", "parts": [part]}
        return {
            "candidates": [{"content": content, "finishReason": "STOP", "index": 0}],
            "usageMetadata": {
                "promptTokenCount": used.input,
                "cachedContentTokenCount": used.cached,
                "candidatesTokenCount": used.output - used.reasoning,
                "thoughtsTokenCount": used.reasoning,
                "totalTokenCount": used.input + used.output,
            },
            "modelVersion": model,
            "responseId": _id("gen"),
        }

    def stream(self, reply: Reply, model: str, used: Tokens) -> Iterator[tuple[str, Json | str]]:
        """One chunk."""
        yield "", self.whole(reply, model, used)


def _names(tools: Sequence[Json]) -> tuple[dict[str, str], list[str]]:
    """({tool: namespace}, all tool names)."""
    spaces: dict[str, str] = {}
    names: list[str] = []
    for tool in tools:
        if tool.get("type") == "namespace":
            inner = [t["name"] for t in tool.get("tools", [])]
            spaces |= dict.fromkeys(inner, tool["name"])
            names += inner
        else:
            names.append((tool.get("function") or tool).get("name") or tool.get("type") or "")
    return spaces, names


def _reply(step: Step, asked: Asked) -> Reply:
    """The step in terms of the tools on offer."""
    if step.shell is not None:
        name = next((n for n in SHELLS if n in asked.tools), None)
        if name is None:
            return Reply(text="no shell among " + ", ".join(asked.tools))
        space, call = asked.namespaces.get(name), _shell(name, step.shell)
        return Reply(step.message, name, **call, namespace=space)
    if step.tool is not None:
        space = asked.namespaces.get(step.tool)
        return Reply(step.message, step.tool, step.args, step.input, space)
    return Reply(text=step.message)


def _shell(name: str, command: str) -> Json:
    if name == "exec":  # a code tool: the command is run from JavaScript
        call = f"await tools.exec_command({{cmd: {json.dumps(command)}}})"
        return {"input": f"const r = {call}; text(r.output);"}
    if name == "exec_command":
        return {"args": {"cmd": command}}
    if name in {"shell", "local_shell"}:
        return {"args": {"command": ["bash", "-lc", command]}}
    return {"args": {"command": command, "description": "run a scripted command"}}


class ModelServer:
    """The server; a context that starts and stops it.

    >>> with ModelServer(steps=[Step(shell="true"), Step(message="Done.")]) as server:
    ...     server.url
    """

    def __init__(self, script: Script | None = None, *, port: int = 0, **fields: Any) -> None:
        self.script = script or Script(**fields)
        self.requests: list[Asked] = []
        """Every request for an answer, in order."""
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._http = _Http(("127.0.0.1", port), _Handler)
        self._http.owner = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """Without a path and without a final slash."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def start(self) -> ModelServer:
        """Serves in a thread."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Ends the thread; answers that are still delayed are let go."""
        self.stopping.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def note(self, asked: Asked) -> None:
        """Adds to the log."""
        with self._lock:
            self.requests.append(asked)

    def __enter__(self) -> ModelServer:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    owner: ModelServer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Http

    def log_message(self, *args: Any) -> None:
        """The log is `ModelServer.requests`."""

    def do_HEAD(self) -> None:  # named by the base class
        self._json({})

    def do_GET(self) -> None:  # named by the base class
        if self.headers.get("Upgrade"):
            self._json({"error": "no websocket here"}, 426)
        elif self._path.endswith("/models"):
            ids = self.server.owner.script.models
            listed = [{"id": m, "object": "model", "type": "model"} for m in ids]
            self._json({"object": "list", "data": listed, "models": [], "has_more": False})
        else:
            self._fail(404, "not found")

    def do_POST(self) -> None:  # named by the base class
        try:
            raw = self._body()
            body = json.loads(raw or b"{}")
        except ValueError:
            return self._fail(400, "the body is not JSON")
        last = self._path.rpartition("/")[2]
        if self._path.endswith("/messages/count_tokens"):
            return self._json({"input_tokens": len(raw) // 4})
        if last.endswith(":countTokens"):
            return self._json({"totalTokens": len(raw) // 4})
        if dialect := _dialect(self._path):
            return self._answer(dialect, body, raw)
        return self._fail(404, "not found")

    def _answer(self, dialect: Dialect, body: Json, raw: bytes) -> None:
        owner, asked = self.server.owner, replace(self._asked(dialect, body), raw=raw)
        owner.note(asked)
        step = owner.script.step(asked)
        if step.delay and owner.stopping.wait(step.delay):
            self.close_connection = True
            return
        if step.error is not None:
            self._fail(step.error, step.body)
            return
        used = Tokens(**{**owner.script.usage, **step.usage})
        model = owner.script.answers_as.get(asked.model, asked.model)
        reply = _reply(step, asked)
        if asked.stream:
            self._events(dialect.stream(reply, model, used), step)
        else:
            self._json(dialect.whole(reply, model, used))

    def _asked(self, dialect: Dialect, body: Json) -> Asked:
        last = self._path.rpartition("/")[2]
        prompt, step = dialect.asked(body)
        namespaces, tools = _names(dialect.tools(body))
        secret = {"authorization", "x-api-key", "x-goog-api-key"}
        headers = {k.lower(): v for k, v in self.headers.items()}
        return Asked(
            path=self.path,
            dialect=dialect.name,
            model=body.get("model") or last.partition(":")[0],
            prompt=prompt,
            step=step,
            tools=tuple(tools),
            effort=dialect.effort(body),
            stream=bool(body.get("stream")) or ":stream" in last,
            headers={k: "given" if k in secret else v for k, v in headers.items()},
            namespaces=namespaces,
        )

    @property
    def _path(self) -> str:
        return self.path.partition("?")[0].rstrip("/")

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            raw = b"".join(self._chunks())
        else:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        unpack: dict[str, Callable[[bytes], bytes]] = {
            "gzip": gzip.decompress,
            "deflate": zlib.decompress,
        }
        return unpack.get(self.headers.get("Content-Encoding", "").lower(), bytes)(raw)

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline().partition(b";")[0] or b"0", 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def _json(self, data: Json, status: int = 200) -> None:
        raw = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        if self.command != "HEAD":
            self._send(raw)

    def _fail(self, status: int, message: str) -> None:
        error = {"type": "scripted_error", "code": status, "status": "ERROR", "message": message}
        self._json({"type": "error", "error": error}, status)

    def _events(self, events: Iterator[tuple[str, Json | str]], step: Step) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for n, (name, data) in enumerate(events):
            if n == step.waits_after:
                self.server.owner.stopping.wait()
            if n in (step.breaks_after, step.waits_after):
                self.close_connection = True
                return
            text = data if isinstance(data, str) else json.dumps(data)
            self._chunk(((f"event: {name}\n" if name else "") + f"data: {text}\n\n").encode())
        self._chunk(b"")

    def _chunk(self, raw: bytes) -> None:
        self._send(b"%x\r\n%s\r\n" % (len(raw), raw))

    def _send(self, raw: bytes) -> None:
        try:
            self.wfile.write(raw)
            self.wfile.flush()
        except ConnectionError:  # the agent was stopped meanwhile, which tests do on purpose
            self.close_connection = True


def _dialect(path: str) -> Dialect | None:
    last = path.rpartition("/")[2]
    if last.endswith((":generateContent", ":streamGenerateContent")):
        return Gemini()
    found: dict[str, Callable[[], Dialect]] = {
        "responses": Responses,
        "completions": Chat,
        "messages": Messages,
    }
    return found[last]() if last in found else None


def main() -> None:
    """Serves a script file until ^C."""
    options = argparse.ArgumentParser(description="A scripted model server on the loopback.")
    options.add_argument("--port", type=int, default=0)
    options.add_argument("--script", type=Path, required=True)
    chosen = options.parse_args()
    script = Script.parse(json.loads(chosen.script.read_text()))
    with ModelServer(script, port=chosen.port) as server:
        print(server.url, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
