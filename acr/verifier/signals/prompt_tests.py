"""Examples that the prompt itself gives, run on the changed Python code in the sandbox.

Found are `assert` statements, doctests (`>>>`), and calls that the text says "should return"
something. They count when all that they call is defined in the changed files.
"""

from __future__ import annotations

import ast
import builtins
import doctest
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from acr import git
from acr.errors import SandboxError
from acr.nouns import Signal, Snapshot
from acr.verifier.ground import Changes, Ground, Progress
from acr.verifier.signals.results import UnreadableError, plain, read_result
from acr.verifier.signals.tests import results_folder
from acr.verifier.tampering import is_test

__all__ = ["Example", "Held", "applicable", "examples", "held", "read", "script", "signal"]

LIMIT = 50
"""Examples taken of one prompt."""
PROMPT_CAP = 30_000
"""Characters of a prompt that are looked at."""
STATEMENT_LINES = 12
"""Lines that one assert may go over."""
_SHOULD = re.compile(
    r"(?<![\w.])([A-Za-z_][\w.]*\([^`\n]{0,200}?\))`?\s*"
    r"(?:(?:should|must|needs to|has to)\s+(?:return|give|be|equal|yield|evaluate to|produce)|==|=>"
    r"|->|→)\s*`?([^`\n]{1,200})"
)


@dataclass(frozen=True, slots=True)
class Example:
    """One statement of the prompt that is true of right code."""

    source: str
    """Python: an assert statement, or a line of a doctest."""
    want: str = ""
    """What the doctest's line prints; empty for an assert."""
    names: frozenset[str] = frozenset()
    """What it uses that it does not define."""


@dataclass(frozen=True, slots=True)
class Held:
    """The examples that were run, and which of them were true."""

    examples: tuple[str, ...]
    before: frozenset[int]
    after: frozenset[int]
    enforced: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def failing(self) -> tuple[str, ...]:
        """The examples that are not true now."""
        return tuple(e for n, e in enumerate(self.examples) if n not in self.after)

    @property
    def decisive(self) -> bool:
        """Whether all are true now and some were not before."""
        return not self.failing and bool(self.after - self.before)


def examples(prompt: str) -> tuple[Example, ...]:
    """The examples in `prompt`, in order; none where it has none."""
    text = prompt[:PROMPT_CAP]
    found = [*_asserts(text), *_doctests(text), *_sentences(text)]
    return tuple(dict.fromkeys(found))[:LIMIT]


def _asserts(text: str) -> Iterator[Example]:
    lines = [re.sub(r"^(?:>\s)?\s*", "", line) for line in text.splitlines()]
    for start, line in enumerate(lines):
        if not line.startswith("assert "):
            continue
        for end in range(start + 1, min(start + STATEMENT_LINES, len(lines)) + 1):
            source = "\n".join(lines[start:end])
            if (names := _names(source)) is not None:
                if names:
                    yield Example(source, names=names)
                break


def _doctests(text: str) -> Iterator[Example]:
    try:
        found = doctest.DocTestParser().get_examples(text)
    except ValueError:
        return
    for one in found:
        names = _names(one.source)
        if names is not None:
            yield Example(one.source, one.want.replace("```", ""), names)


def _sentences(text: str) -> Iterator[Example]:
    for match in _SHOULD.finditer(text):
        words = match[2].rstrip(" .,;:!?")
        while words:
            source = f"assert {match[1]} == {words}"
            if _is_literal(words) and (names := _names(source)):
                yield Example(source, names=names)
                break
            words = words.rpartition(" ")[0].rstrip(" .,;:!?")


def _is_literal(text: str) -> bool:
    try:
        ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return False
    return True


def _names(source: str) -> frozenset[str] | None:
    """What `source` uses and neither defines nor finds built in; None when it does not parse."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
    used = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    bound = {node.id for node in used if not isinstance(node.ctx, ast.Load)}
    bound |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    return frozenset({node.id for node in used} - bound - set(dir(builtins)))


def applicable(found: Iterable[Example], sources: Mapping[str, bytes]) -> dict[str, str]:
    """Name -> file for what the examples use; empty when `sources` do not define all of it.

    `sources` are the changed files by path. A name that two of them define is not guessed at.
    """
    defined: dict[str, set[str]] = {}
    for path, data in sources.items():
        for name in _defines(data):
            defined.setdefault(name, set()).add(path)
    needed: set[str] = set()
    own: set[str] = set()
    for one in found:
        needed |= one.names - own
        own |= _defines(one.source.encode())
    if not needed or any(len(defined.get(name, ())) != 1 for name in needed):
        return {}
    return {name: min(defined[name]) for name in sorted(needed)}


def _defines(data: bytes) -> set[str]:
    """Names that a module's top level defines."""
    try:
        tree = ast.parse(data)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return set()
    names = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


def held(
    prompt: str, changes: Changes, after: Snapshot, ground: Ground, progress: Progress
) -> Held | None:
    """Which examples of the prompt hold; None where it has none that can be tried."""
    found = examples(prompt)
    changed = [path for status, path in changes if found and status in "AM"]
    python = [path for path in changed if path.endswith(".py") and not is_test(path)]
    files = applicable(found, {path: git.read(after, path) or b"" for path in python})
    if not files:
        return None
    try:
        progress(f"trying the examples of the prompt in {ground.ready().name}")
        with ground.copy() as copy:
            now, enforced = _try(copy, found, files, ground)
        with ground.copy() as copy:
            ground.undo(copy, changes)
            before, _ = _try(copy, found, files, ground)
    except SandboxError:
        return None
    texts = tuple(one.source for one in found)
    return None if now is None else Held(texts, before or frozenset(), now, enforced)


def _try(
    copy: Path, found: Sequence[Example], files: Mapping[str, str], ground: Ground
) -> tuple[frozenset[int] | None, Mapping[str, str | None]]:
    """(the numbers of the examples that hold in `copy`, what the sandbox enforced)."""
    command = ground.repository.test
    known = command and command.kind in ("pytest", "unittest") and "-m" in command.argv
    python = command.argv[0] if command and known else "python3"
    with results_folder(ground.folder) as where:
        argv = (python, *script(found, files, where / "held.json"))
        ran = ground.run(copy, argv, ground.tools_for(python, "pytest"), where)
        return read(where / "held.json", len(found)), ran.enforced


def script(found: Iterable[Example], files: Mapping[str, str], result: Path) -> tuple[str, ...]:
    """Arguments of the project's Python that try the examples and write `result`."""
    told = [{**asdict(one), "names": ()} for one in found]
    return ("-c", _SCRIPT, str(result), json.dumps([told, dict(files)]))


_SCRIPT = """
import contextlib, doctest, importlib, io, json, pathlib, sys
out, (examples, files) = sys.argv[1], json.loads(sys.argv[2])
sys.argv[1:] = []
scope, held = {}, []
def module(path):
    file = pathlib.Path(path).absolute()
    parts, top = [file.stem] if file.stem != "__init__" else [], file.parent
    while (top / "__init__.py").exists():
        parts.insert(0, top.name)
        top = top.parent
    sys.path.insert(0, str(top))
    return importlib.import_module(".".join(parts))
try:
    for name, path in files.items():
        scope[name] = getattr(module(path), name)
except BaseException:
    examples, held = [], None
check = doctest.OutputChecker().check_output
flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
for number, one in enumerate(examples):
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            exec(compile(one["source"], "<prompt>", "single" if one["want"] else "exec"), scope)
        if check(one["want"], said.getvalue(), flags) if one["want"] else True:
            held.append(number)
    except BaseException as e:
        if one["want"].startswith("Traceback") and type(e).__name__ in one["want"]:
            held.append(number)
with open(out, "w") as file:
    json.dump(held, file)
"""


def read(result: Path, count: int) -> frozenset[int] | None:
    """The numbers of the examples that held; None when what they use could not be imported.

    Missing and forged results are no examples that held.
    """
    try:
        held = json.loads(read_result(result))
    except (UnreadableError, ValueError, RecursionError):
        return frozenset()
    if held is None:
        return None
    told = held if isinstance(held, list) else []
    return frozenset(n for n in told if type(n) is int and 0 <= n < count)


def signal(tried: Held) -> Signal:
    """The signal `prompt_tests`: the share of the prompt's examples that hold now."""
    count, now = len(tried.examples), len(tried.after)
    detail = f"{now} of {count} examples in the prompt hold, {len(tried.before)} did before"
    if tried.failing:
        detail += f"; not: {plain(tried.failing[0])[:200]}"
    return Signal("prompt_tests", now / count, 0.0, detail)
