"""Settings (config.toml) and where state lives (ACR_HOME)."""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
import tomllib
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from acr.errors import SettingsError
from acr.home import home
from acr.nouns import Autonomy

AtCap = Literal["stop", "cheapest", "ask"]
Muted = Literal["prior", "ability", "own", "repository", "classifier", "neighbours", "changes"]
SandboxChoice = Literal["auto", "docker", "bwrap", "seatbelt", "none"]

__all__ = [
    "AgentSettings",
    "AtCap",
    "BudgetSettings",
    "Caps",
    "EmbeddingSettings",
    "GatewaySettings",
    "HookCommand",
    "HookSettings",
    "Limits",
    "MemorySettings",
    "Muted",
    "OrchestratorSettings",
    "PoolSettings",
    "RepositorySettings",
    "SandboxChoice",
    "Settings",
    "SignalWeights",
    "VerifierSettings",
    "folder",
    "home",
    "load",
    "parse",
    "read_toml",
    "refuse",
    "shipped",
]


def _within(default: Any, least: float, most: float = math.inf) -> Any:
    """A field whose number must be from `least` to `most`."""
    return field(default=default, metadata={"range": (least, most)})


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """[pool]: which profiles may be chosen at all. Names or shell patterns; empty allows all."""

    profiles: tuple[str, ...] = ()
    """Profile names that may be chosen, e.g. ["codex-*", "claude-sonnet"]."""
    agents: tuple[str, ...] = ()
    """Agents that may be chosen, e.g. ["codex", "claude"]."""
    providers: tuple[str, ...] = ()
    """Providers that may be chosen, e.g. ["anthropic"]."""
    deny_profiles: tuple[str, ...] = ()
    """Profile names that may never be chosen."""
    deny_agents: tuple[str, ...] = ()
    """Agents that may never be chosen."""
    deny_providers: tuple[str, ...] = ()
    """Providers that may never be chosen."""


@dataclass(frozen=True, slots=True)
class OrchestratorSettings:
    """[orchestrator]: how a profile is chosen."""

    epsilon_score: float = _within(1.0, 0.0)
    """Weight of the expected score in the reward."""
    epsilon_cost: float = _within(-0.1, -math.inf, 0.0)
    """Weight of the expected cost (per USD) in the reward; negative."""
    neighbours: int = _within(40, 0, 1000)
    """How many similar tasks vote."""
    threshold: float = _within(0.3, -1.0, 1.0)
    """Cosine similarity under which a task is not similar."""
    exploration: float = _within(0.35, 0.0, 1.0)
    """How far uncertainty leads to trying others than the best: 0 never, 1 is Thompson sampling."""
    mute: tuple[Muted, ...] = ()
    """What is not heard: prior, ability, own, repository, classifier, neighbours, changes."""
    gguf: str = ""
    """A GGUF chat model that votes too, which takes seconds: a path, or hf:OWNER/REPOSITORY/FILE.
    Empty: none."""


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """[agents]: how agents run."""

    autonomy: Autonomy = "edit"
    """ask, edit (may change files in the repository) or full (no restriction)."""
    timeout: float = _within(1800.0, 1.0)
    """Seconds after which one attempt is stopped."""
    max_tries: int = _within(3, 1)
    """How many profiles may try one task, the first included."""


@dataclass(frozen=True, slots=True)
class Limits:
    """[verifier.limits]: what one test run may use."""

    wall: float = _within(600.0, 1.0)
    """Seconds."""
    memory: int = _within(2048, 16)
    """MiB; swap is not added."""
    pids: int = _within(512, 1)
    """Processes and threads."""
    cpus: float = _within(2.0, 0.01)
    """Cores."""
    output: int = _within(4, 1)
    """MiB of output kept: the first quarter and the last three."""
    tmp: int = _within(512, 1)
    """MiB of /tmp, and of the home folder."""
    file: int = _within(1024, 1)
    """MiB of one file."""
    files: int = _within(4096, 16)
    """Open files."""
    copy: int = _within(4096, 1)
    """MiB that the private copy of the repository may hold."""
    entries: int = 500_000
    """Files and folders that the private copy of the repository may hold."""


@dataclass(frozen=True, slots=True)
class SignalWeights:
    """[verifier.weights.DIMENSION]: how much each signal counts for one kind of request.

    DIMENSION may be default. The weights of the signals that could be had are scaled to sum to 1.
    """

    tests: float | None = _within(None, 0.0)
    """Of the tests; acr's own table when absent, as for all weights."""
    prompt_tests: float | None = _within(None, 0.0)
    """Of the prompt's examples."""
    judge: float | None = _within(None, 0.0)
    """Of the judge."""
    syntax: float | None = _within(None, 0.0)
    """Of changed files that parse."""
    rules: float | None = _within(None, 0.0)
    """Of the rules."""
    lint: float | None = _within(None, 0.0)
    """Of the linters."""


@dataclass(frozen=True, slots=True)
class VerifierSettings:
    """[verifier]: how results are checked."""

    sandbox: SandboxChoice = "auto"
    """auto (docker, else bwrap, else refuse), docker, bwrap, seatbelt (macOS's sandbox-exec,
    experimental) or none. A repository cannot set it."""
    image: str = ""
    """Docker image; empty uses the host's own toolchain read-only."""
    runtime: str = ""
    """Docker runtime, e.g. runsc; empty uses the engine's default."""
    judge: str = ""
    """Profile, or path of a GGUF model, that rates what no test can check; empty asks nobody."""
    parallel: int = _within(0, 0)
    """Sandboxes that run at a time, over all acr of yours; 0 is half the cores, at least one."""
    limits: Limits = field(default_factory=Limits)
    """What one test run may use."""
    weights: dict[str, SignalWeights] = field(default_factory=dict)
    """How much each signal counts, by dimension."""


@dataclass(frozen=True, slots=True)
class MemorySettings:
    """[memory]: what is kept."""

    capacity: int = _within(20_000, 1)
    """Attempts kept in full; older ones live on in statistics only."""


@dataclass(frozen=True, slots=True)
class EmbeddingSettings:
    """[embedding]: which model turns prompts into vectors."""

    model: str = "acr/all-MiniLM-L6-v2-int8"
    """The shipped model, or any model name that fastembed knows (downloaded by fastembed)."""


@dataclass(frozen=True, slots=True)
class HookCommand:
    """[[hooks.post_run]]: a command of yours that looks at each attempt."""

    command: tuple[str, ...]
    """Program and arguments; gets the attempt as JSON on stdin, may print a Signal as JSON."""
    timeout: float = _within(60.0, 0.1)
    """Seconds."""


@dataclass(frozen=True, slots=True)
class HookSettings:
    """[hooks]: commands that acr runs."""

    post_run: tuple[HookCommand, ...] = ()
    """Run after each attempt, in order, after acr's own verification."""


@dataclass(frozen=True, slots=True)
class Caps:
    """[budget.profiles.NAME] and [budget.repositories."PATH"]: caps of one of them."""

    per_day: float | None = _within(None, 0.0)
    """USD for a profile, or in a repository by its absolute path, from midnight to midnight."""
    per_month: float | None = _within(None, 0.0)
    """The same for a calendar month."""


@dataclass(frozen=True, slots=True)
class BudgetSettings:
    """[budget]: what may be spent. All caps hold at once; what is on a plan counts for none."""

    per_run: float | None = _within(None, 0.0)
    """USD for one `acr "…"`, all tries and the judge together; no limit when absent."""
    per_day: float | None = _within(None, 0.0)
    """USD from midnight to midnight, over all runs; no limit when absent."""
    per_month: float | None = _within(None, 0.0)
    """USD in a calendar month, over all runs; no limit when absent."""
    at_cap: AtCap = "stop"
    """What happens when a cap leaves too little: stop; cheapest (only the cheapest profile goes
    on, beyond the cap); or ask (go on when you say so; without a terminal: stop)."""
    profiles: dict[str, Caps] = field(default_factory=dict)
    """Caps of single profiles."""
    repositories: dict[str, Caps] = field(default_factory=dict)
    """Caps of single repositories, by absolute path."""


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """[gateway]: how single model calls of an agent are routed (--gateway, acr gateway run)."""

    router: str = ""
    """Who chooses the tier of a call; empty uses acr's own. Tiers such as "frontier,minimal" are
    taken in turn."""
    tiers: dict[str, str] = field(default_factory=dict)
    """Bounds of acr's own router: min and max, a tier for a kind of step (edit = "frontier"), the
    cheapest tier of a dimension (algorithm = "mid"). Without max no step goes to a dearer tier
    than the model that the agent asks for."""
    caution: float = _within(6.0, 0.0)
    """What a spoiled step costs, in steps of the dearest tier: more keeps more steps there."""
    connect: float = _within(15.0, 0.1)
    """Seconds that reaching a provider may take."""
    silence: float = _within(600.0, 0.1)
    """Seconds that a provider may be silent."""
    body: int = _within(64, 1, 1024)
    """MiB of the largest request."""
    upstreams: dict[str, str] = field(default_factory=dict)
    """Base URL by provider, where it is not the provider's own: a proxy such as LiteLLM."""


@dataclass(frozen=True, slots=True)
class RepositorySettings:
    """[repositories."PATH"]: settings of one repository, by its absolute path."""

    test: str = ""
    """Shell command that runs the tests; overrides detection."""
    verify: bool | None = None
    """Whether turns of ordinary sessions are verified (acr hooks verify); absent: where `test`
    is set."""


@dataclass(frozen=True, slots=True)
class Settings:
    """config.toml."""

    pool: PoolSettings = field(default_factory=PoolSettings)
    orchestrator: OrchestratorSettings = field(default_factory=OrchestratorSettings)
    agents: AgentSettings = field(default_factory=AgentSettings)
    verifier: VerifierSettings = field(default_factory=VerifierSettings)
    memory: MemorySettings = field(default_factory=MemorySettings)
    embedding: EmbeddingSettings = field(default_factory=EmbeddingSettings)
    hooks: HookSettings = field(default_factory=HookSettings)
    budget: BudgetSettings = field(default_factory=BudgetSettings)
    gateway: GatewaySettings = field(default_factory=GatewaySettings)
    repositories: dict[str, RepositorySettings] = field(default_factory=dict)


def folder(*names: str) -> Path:
    """A folder below home(), made when missing, private to the user like home() itself."""
    made = home()
    made.parent.mkdir(parents=True, exist_ok=True)
    made.mkdir(mode=0o700, exist_ok=True)
    for name in names:
        made /= name
        made.mkdir(mode=0o700, exist_ok=True)
    return made


def shipped(name: str) -> Path:
    """The folder `name` (hooks, profiles) that ships with acr, in a wheel or a checkout."""
    package = Path(__file__).parent
    installed = package / "_shipped" / name
    return installed if installed.is_dir() else package.parent / name


def load(folder: Path | None = None) -> Settings:
    """Settings from config.toml in `folder` (default: home()); defaults when there is none.

    Raises SettingsError that names file, line and what was expected.
    """
    path = (folder or home()) / "config.toml"
    try:
        text = read_toml(path)
    except FileNotFoundError:
        return Settings()
    return typing.cast(Settings, parse(Settings, text[0], text[1], path))


def read_toml(path: Path) -> tuple[dict[str, Any], str]:
    """(data, text) of a TOML file. Raises SettingsError with the line, or FileNotFoundError."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise
    except UnicodeDecodeError as e:
        raise SettingsError(f"{path}: not UTF-8 text (byte {e.start}); save it as UTF-8") from None
    except OSError as e:
        raise SettingsError(f"{path}: {e.strerror}; make it readable") from None
    try:
        return tomllib.loads(text), text
    except tomllib.TOMLDecodeError as e:
        raise SettingsError(f"{path}: {e}; mend that line") from None


def parse(kind: Any, data: Any, text: str, path: Path, where: str = "") -> Any:
    """The dataclass `kind` from TOML `data`, every key known and of the right type."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        return _parse_table(kind, data, text, path, where)
    if origin in (typing.Union, types.UnionType):
        return parse(args[0], data, text, path, where)
    if origin is Literal:
        if data not in args:
            refuse(text, path, where, "one of " + ", ".join(map(str, args)), data)
        return data
    if origin is tuple:
        if not isinstance(data, list):
            refuse(text, path, where, "a list", data)
        return tuple(parse(args[0], v, text, path, where) for v in data)
    if origin is dict:
        if not isinstance(data, dict):
            refuse(text, path, where, "a table", data)
        return {k: parse(args[1], v, text, path, f"{where}.{k}") for k, v in data.items()}
    if kind is float and type(data) is int:
        return float(data)
    if type(data) is not kind:
        refuse(text, path, where, _NAMES.get(kind, "a number"), data)
    return data


_NAMES = {str: "text", int: "a whole number", bool: "true or false"}


def _parse_table(kind: Any, data: Any, text: str, path: Path, where: str) -> Any:
    if not isinstance(data, dict):
        refuse(text, path, where, "a table", data)
    hints = typing.get_type_hints(kind)
    for key in data:
        if key not in hints:
            near = difflib.get_close_matches(key, hints, 1)
            hint = f"did you mean {near[0]}?" if near else "known: " + ", ".join(hints)
            at = _line(text, key)
            raise SettingsError(f"{path}:{at}: unknown key {_join(where, key)}; {hint}")
    for f in dataclasses.fields(kind):
        required = f.default is f.default_factory is dataclasses.MISSING
        if required and f.name not in data:
            at = _line(text, where.rpartition(".")[2])
            raise SettingsError(f"{path}:{at}: {_join(where, f.name)} is missing")
    values = {k: parse(hints[k], v, text, path, _join(where, k)) for k, v in data.items()}
    for f in dataclasses.fields(kind):
        if f.name in values and "range" in f.metadata:
            _check_range(values[f.name], f.metadata["range"], text, path, _join(where, f.name))
    return kind(**values)


def _check_range(
    value: float, range_: tuple[float, float], text: str, path: Path, where: str
) -> None:
    least, most = range_
    if not least <= value <= most or math.isinf(value):  # nan is in no range
        limits = [f"at least {least:g}"] * (least > -math.inf) + [f"at most {most:g}"] * (
            most < math.inf
        )
        refuse(text, path, where, " and ".join(limits), value)


def _join(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _line(text: str, key: str) -> int:
    """1-based line where `key` is first set or opened as a table; 1 when it cannot be found."""
    pattern = rf"^\s*(\[+.*\b{re.escape(key)}\b.*\]+|[\"']?{re.escape(key)}[\"']?\s*=)"
    found = re.search(pattern, text, re.MULTILINE)
    return text.count("\n", 0, found.start()) + 1 if found else 1


def refuse(text: str, path: Path, where: str, expected: str, got: Any) -> typing.NoReturn:
    """Raises SettingsError: key `where` of the TOML `text` in file `path` is not as expected."""
    at = _line(text, where.rpartition(".")[2])
    raise SettingsError(f"{path}:{at}: {where} must be {expected}, not {got!r}")
