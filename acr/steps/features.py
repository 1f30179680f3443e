"""What the tail of a request tells of the step to come, in the three dialects that agents speak.

Only the end of a conversation is read, however long it is; nothing is serialised, nothing asked.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from acr.context.dimension import human_ask
from acr.steps.nouns import StepRequest

__all__ = [
    "PER_TOKEN",
    "Call",
    "Features",
    "Measured",
    "features",
    "first_prompt",
    "kind_of",
    "measure",
]

TAIL = 32
"""Calls and results that are looked at, newest first."""
ENDS = 800
"""Characters of a result's two ends that are searched for an error."""
STALL = 3
"""Equal calls of the last STALL_WITHIN that make a stall."""
STALL_WITHIN = 6
NESTED = 8
"""Items at the start among which newer Codex models carry their tools."""
PER_TOKEN = 4
"""Characters of a token, about."""

_TOOLS = {
    "search_read": "read grep glob ls view search list fetch find open lsp",
    "edit": "edit write multiedit notebookedit apply_patch patch replace create insert",
    "bookkeeping": "todowrite todo update_plan taskupdate taskcreate submit exitplanmode",
    "plan": "task agent spawn_agent plan",
}
_NAMED = {word: kind for kind, words in _TOOLS.items() for word in words.split()}
_SHELLS = frozenset(
    ("bash", "shell", "exec", "exec_command", "shell_command", "local_shell", "run_shell_command")
)
_EDITS = re.compile(
    r"(^|[\s;&|(\"'`])(sed\s+(-\w+\s+)*-i|perl\s+-\w*i|tee\b|patch\b|apply_patch\b|git\s+(apply|checkout|"
    r"restore|mv|rm)\b|mv\s|cp\s|rm\s|mkdir\s|touch\s|ed\s)|\*\*\* Begin Patch|write_text\(|"
    r"open\([^)]*['\"][wa]b?['\"]|(?<![0-9&=-])>{1,2}\s*(?!/dev/|&|=|\s)[\w./~$\"'-]"
)
_RUNS = re.compile(
    r"(^|[\s;&|(/\"'`])(pytest|unittest|tox|nox|jest|vitest|mocha|phpunit|rspec|ctest|make|cmake|gcc|"
    r"g\+\+|mvn|gradlew?|cargo|ruff|mypy|flake8|eslint|tsc|go\s+(test|build|run|vet)|dotnet|"
    r"(npm|pnpm|yarn|bun)\s+(run|t|test|start|build|install)|pip3?\s+install|"
    r"(python[\d.]*|node|ruby|php|bash|sh|perl)\s+(-\w+\s+)*\S)"
)
_KEEPS = re.compile(
    r"^\s*(cd\s+\S+\s*&&\s*)?(git\s+(status|add|commit|diff|stash|log)\b|echo\b|true\b|pwd\b|submit\b)"
)
_EXIT = re.compile(
    r"(?:exit(?:ed)?(?:\s+with)?[ _](?:code|status)[\"']?:?|<returncode>)\s*(-?\d+)", re.I
)
_WRONG = re.compile(
    r"Traceback \(most recent call last\)|^(E  |FAILED|FAIL:|error(\[\w+\])?:|fatal:|panic)|"
    r"\b[A-Z]\w+(Error|Exception): |command not found|No such file or directory|[1-9]\d* failed",
    re.M,
)
_COMPACTS = re.compile(
    r"(summar(y|ise|ize)\b.{0,60}\b(conversation|session|chat|work so far)|compact(ion)?\b)", re.I
)
_NOISE = (
    "<system-reminder",
    "<environment_context",
    "<user_instructions",
    "<command-",
    "# AGENTS.md",
)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a tool and what came of it."""

    kind: str
    key: str
    """Equal for equal calls."""
    failed: bool = False
    size: int = 0
    """Characters of the result."""


@dataclass(frozen=True, slots=True)
class Features:
    """What is seen of a request, apart from its task."""

    calls: tuple[Call, ...]
    """The newest, oldest first."""
    offers_tools: bool
    compacts: bool
    """The agent wants its conversation summed up."""
    after_human: bool
    """Whether a person spoke last."""
    signed: bool
    """Whether thinking that another model may not be able to read stands in this turn."""

    @property
    def failed(self) -> bool:
        """Whether the last call failed, and a person has not spoken since."""
        return bool(self.calls) and self.calls[-1].failed and not self.after_human

    @property
    def failures(self) -> int:
        """Runs and tests that failed since one last went well: edits in between prove nothing."""
        if self.after_human:
            return 0
        found = 0
        for call in reversed(self.calls):
            if call.kind == "run_test" and not call.failed:
                break
            found += call.kind == "run_test"
        return found

    @property
    def stalls(self) -> bool:
        """Whether the same call comes again and again, with no other edit in between."""
        recent = self.calls[::-1][:STALL_WITHIN]
        same = itertools.takewhile(lambda c: c.key == recent[0].key or c.kind != "edit", recent)
        return sum(call.key == recent[0].key for call in same) >= STALL

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of `calls`; an edit after an error is a repair."""
        before = itertools.chain((False,), (call.failed for call in self.calls))
        return tuple(
            "repair" if failed and call.kind == "edit" else call.kind
            for failed, call in zip(before, self.calls, strict=False)
        )


Item = tuple[Literal["call", "result", "human", "said", "signed"], str, str, Any]
"""What, id of the call, name or text, argument or error."""


def features(request: StepRequest) -> Features:
    """What its tail tells. Whatever is not as expected is passed over."""
    results: dict[str, tuple[str, bool]] = {}
    calls: list[Call] = []
    first, human, signed = "", False, False
    for what, id_, name, more in itertools.islice(_backwards(request), TAIL * 2):
        if what in ("call", "result", "human"):
            first = first or what
        if what == "result":
            results[id_] = (name, bool(more) or _failed(name))
        elif what == "call":
            text, failed = results.get(id_, ("", False))
            calls.append(Call(kind_of(name, more), f"{name} {more}"[:400], failed, len(text)))
        elif what == "signed":
            signed = signed or not human
        elif what == "human":
            human = True
    last = _last_human(request) if first == "human" else ""
    return Features(
        calls=tuple(reversed(calls)),
        offers_tools=_offers_tools(request),
        compacts=bool(last and len(last) < 20_000 and _COMPACTS.search(last[:400])),
        after_human=first == "human",
        signed=signed,
    )


def kind_of(tool: str, argument: object = "") -> str:
    """The kind of a call, by the tool's name and, of a shell, its command."""
    name = tool.rpartition(".")[2].rpartition("__")[2].lower()
    if name not in _SHELLS:
        return _NAMED.get(name) or next((k for w, k in _NAMED.items() if w in name), "search_read")
    command = _command(argument)
    if _EDITS.search(command):
        return "edit"
    if _KEEPS.search(command):
        return "bookkeeping"
    return "run_test" if _RUNS.search(command) else "search_read"


def first_prompt(request: StepRequest) -> str:
    """The first text that a person typed, blocks of the harness taken out; may be empty."""
    from acr.context.dimension import human_ask

    for item in _messages(request):
        if isinstance(item, Mapping) and item.get("role") == "user":
            texts = _typed(item)
            if texts:
                return human_ask("\n".join(texts))
    return ""


Measured = tuple[int, int, int]
"""Messages, characters of those, characters of what stands before them."""


def measure(request: StepRequest, before: Measured = (0, 0, 0)) -> Measured:
    """How long the request is; of one that has grown since `before`, only the new part is read."""
    body, messages = request.body, _messages(request)
    count, characters, fixed = before
    if not 0 < count <= len(messages):
        count, characters = 0, 0
        fixed = sum(_size(body.get(name)) for name in ("instructions", "system", "tools"))
    return len(messages), characters + sum(map(_size, messages[count:])), fixed


def _messages(request: StepRequest) -> Sequence[Any]:
    found = request.body.get("input" if request.dialect == "responses" else "messages")
    if isinstance(found, str):
        return [{"role": "user", "content": found}]
    return found if isinstance(found, list) else []


def _rows(value: object) -> list[Mapping[str, Any]]:
    """The tables of a list; empty for anything else."""
    return [row for row in value if isinstance(row, Mapping)] if isinstance(value, list) else []


def _backwards(request: StepRequest) -> Iterator[Item]:
    read = _READERS[request.dialect]
    for item in reversed(_messages(request)):
        if isinstance(item, Mapping):
            yield from read(item)


def _responses(item: Mapping[str, Any]) -> Iterator[Item]:
    kind = str(item.get("type", ""))
    id_ = str(item.get("call_id") or item.get("id") or "")
    if kind.endswith("_output"):
        yield "result", id_, _flat(item.get("output")), False
    elif kind.endswith("_call"):
        argument = item.get("arguments") or item.get("input") or item.get("action") or ""
        yield "call", id_, str(item.get("name") or kind.removesuffix("_call")), argument
    elif kind == "reasoning":
        if item.get("encrypted_content"):
            yield "signed", "", "", None
    else:
        yield from _spoken(item)


def _chat(item: Mapping[str, Any]) -> Iterator[Item]:
    if item.get("role") == "tool":
        yield "result", str(item.get("tool_call_id", "")), _flat(item.get("content")), False
        return
    for call in reversed(_rows(item.get("tool_calls"))):
        named = call.get("function")
        function = named if isinstance(named, Mapping) else {}
        name, argument = str(function.get("name", "")), function.get("arguments", "")
        yield "call", str(call.get("id", "")), name, argument
    yield from _spoken(item)


def _anthropic(item: Mapping[str, Any]) -> Iterator[Item]:
    blocks = _rows(item.get("content"))
    for block in reversed(blocks):
        kind = block.get("type")
        if kind == "tool_result":
            text, error = _flat(block.get("content")), bool(block.get("is_error"))
            yield "result", str(block.get("tool_use_id", "")), text, error
        elif kind == "tool_use":
            yield "call", str(block.get("id", "")), str(block.get("name", "")), block.get("input")
        elif kind in ("thinking", "redacted_thinking"):
            yield "signed", "", "", None
    if not any(b.get("type") in ("tool_result", "tool_use") for b in blocks):
        yield from _spoken(item)


_READERS = {"responses": _responses, "chat": _chat, "messages": _anthropic}


def _spoken(item: Mapping[str, Any]) -> Iterator[Item]:
    """What a person said, if it is more than the harness's own blocks."""
    if item.get("role") == "user" and _typed(item):
        yield "human", "", "", None


def _typed(item: Mapping[str, Any]) -> list[str]:
    """Texts that are more than blocks of the harness."""
    return [
        text
        for text in _texts(item.get("content"))
        if not text.lstrip().startswith(_NOISE) or not human_ask(text).startswith(_NOISE)
    ]


def _last_human(request: StepRequest) -> str:
    items = (m for m in reversed(_messages(request)) if isinstance(m, Mapping))
    said = (m.get("content") for m in items if m.get("role") == "user")
    return next(reversed(_texts(next(said, None))), "")


def _offers_tools(request: StepRequest) -> bool:
    if request.body.get("tools"):
        return True
    nested = (item for item in _messages(request)[:NESTED] if isinstance(item, Mapping))
    return any(item.get("type") == "additional_tools" for item in nested)


def _texts(content: object) -> list[str]:
    if isinstance(content, str):
        return [content]
    blocks = content if isinstance(content, list) else []
    return [str(b["text"]) for b in blocks if isinstance(b, Mapping) and b.get("text")]


def _flat(content: object) -> str:
    return content if isinstance(content, str) else "\n".join(_texts(content))


def _failed(text: str) -> bool:
    seen = text if len(text) <= 2 * ENDS else f"{text[:ENDS]}\n{text[-ENDS:]}"
    told = _EXIT.findall(seen)
    return told[-1] != "0" if told else bool(_WRONG.search(seen))


def _command(argument: object) -> str:
    """The shell's command line in a tool's argument, which may be JSON in a string."""
    if isinstance(argument, str) and argument.startswith("{"):
        try:
            argument = json.loads(argument)
        except ValueError:
            return str(argument)
    if isinstance(argument, Mapping):
        argument = argument.get("command") or argument.get("cmd") or argument.get("script") or ""
    if isinstance(argument, list):
        argument = argument[-1] if len(argument) == 3 else " ".join(map(str, argument))
    return str(argument)[:4000]


def _size(value: object) -> int:
    """Characters of every text in it."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        return sum(map(_size, value.values()))
    return sum(map(_size, value)) if isinstance(value, list) else 0
