"""A simulation of step routing: python -m tests.simulate_steps [--agents codex,claude] [--full]

Models of stated ability (tests/simulation.toml) work on small tasks with real code and a real
verdict; prices and caches are counted, and the figures are those of the simulation, of no real
model. Without --agents a small agent in this process asks the router; with it the real binaries
edit real files through a real gateway (ACR_TEST_AGENTS names them). --full: 20 tasks x 5 seeds.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import random
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from acr.agents.prices import cost
from acr.memory.statistics import wilson
from acr.nouns import TIERS, Price, Tier, Usage, from_json
from acr.steps.features import features
from acr.steps.fixed import Pinned
from acr.steps.kind import Past, forecast
from acr.steps.nouns import Router, StepChoice, StepRequest
from acr.steps.policy import OUTPUT, SPOILS
from acr.steps.router import StepRouter
from tests.model_server import Asked, ModelServer, Script, Step

PARAMETERS = Path(__file__).with_name("simulation.toml")
RUN = re.compile(r"\[run ([\w.-]+)\]")
SEEN, JUDGED = (2,), (2, 3, 7, 11)
"""What functions are called with by the tests at hand, and by the verdict."""
CASCADE: tuple[Tier, ...] = ("minimal", "mid", "frontier")
STRICT = (0.03, 0.1, 0.2)
"""Thresholds of the RouteLLM-style baseline: odds of a loss that ask the strong model."""
WORDS = {
    False: "Fix the functions in work.py until python check.py passes.",
    True: "Fix the functions in work.py until python check.py passes. Mind concurrency, edge cases "
    "and performance: this is a hard algorithm over a distributed, legacy code base.",
}


@dataclass(frozen=True)
class Parameters:
    """tests/simulation.toml."""

    prices: Mapping[Tier, Price]
    ability: Mapping[Tier, Mapping[str, float]]
    world: Mapping[str, float]

    @classmethod
    def load(cls, path: Path = PARAMETERS) -> Parameters:
        """As the file says."""
        data = tomllib.loads(path.read_text())
        prices = {cast(Tier, t): from_json(Price, p) for t, p in data["prices"].items()}
        return cls(prices, data["ability"], data["world"])


@dataclass(frozen=True)
class Job:
    """One task: functions `x * a + b` that are wrong at first."""

    name: str
    difficulty: float
    functions: tuple[tuple[int, int], ...]

    @property
    def prompt(self) -> str:
        """What the person asks; the wording hints at the difficulty."""
        return WORDS[self.difficulty > 0.55]

    @property
    def work(self) -> str:
        """work.py at first."""
        return "".join(f"def f_{k}(x):\n    return 0\n\n" for k in range(len(self.functions)))

    def bad(self, work: str, inputs: Sequence[int]) -> list[int]:
        """Functions of `work` that are wrong on `inputs`."""
        space: dict[str, Any] = {}
        exec(work, space)  # the simulation's own code
        return [
            k
            for k, (a, b) in enumerate(self.functions)
            if any(space[f"f_{k}"](x) != x * a + b for x in inputs)
        ]

    @property
    def check(self) -> str:
        """check.py: the tests that the agent runs."""
        table = dict(enumerate(self.functions))
        return (
            f"import work\nbad = [k for k, (a, b) in {table}.items() if any(\n"
            f"    getattr(work, f'f_{{k}}')(x) != x * a + b for x in {SEEN})]\n"
            "print('WRO' + 'NG:', *bad) if bad else print('ALL' + 'RIGHT')\n"  # not in its source
            "raise SystemExit(bool(bad))\n"
        )


def jobs(n: int) -> list[Job]:
    """The tasks, the same every time: 2 to 6 functions, difficulties over the whole range."""
    draw = random.Random(7)
    return [
        Job(
            f"t{i:02}",
            (i + 0.5) / n,
            tuple((draw.randint(2, 9), draw.randint(1, 9)) for _ in range(2 + i % 5)),
        )
        for i in random.Random(3).sample(range(n), n)
    ]


@dataclass(frozen=True)
class Move:
    """What a model does: a shell command, or its last words."""

    kind: str
    shell: str
    usage: Usage
    cost: float


Make = Callable[[bool], str]
Ask = tuple[str, str, Make]
"""Kind, name of the event, command by whether it is done rightly."""
Brain = Generator[Ask, tuple[bool, str], None]


class Run:
    """One task with one seed under one arm: what its model does next, and what that cost."""

    def __init__(self, job: Job, seed: int, parameters: Parameters, *, cascade: bool) -> None:
        self.job, self.seed, self.parameters, self.cascade = job, seed, parameters, cascade
        self.cost, self.steps = 0.0, 0
        self.tiers: dict[str, list[str]] = {}
        self._sound = True
        self._cached: dict[Tier, int] = {}
        self._brain = self._work()
        self._ask: Ask | None = next(self._brain)
        self._good = True
        self._answers: dict[int, Move] = {}
        self._factor = 1.0

    def move(self, index: int, tier: Tier, tokens: int, seen: str) -> Move:
        """The answer to the request number `index`; the same again when it is repeated."""
        if index in self._answers:
            return self._answers[index]
        if index and self._ask:
            try:
                self._ask = self._brain.send((self._good, seen))
            except StopIteration:
                self._ask = None
        kind, name, make = self._ask or ("summarise", "end", lambda _: "")
        self._good, paid, usage = self._try(kind, name, tier, tokens)
        self.cost += paid
        self.steps += 1
        self.tiers.setdefault(kind, []).append(tier)
        self._answers[index] = move = Move(kind, make(self._good), usage, paid)
        return move

    def _try(self, kind: str, name: str, tier: Tier, tokens: int) -> tuple[bool, float, Usage]:
        """(done rightly, USD, usage); a cascade asks one tier after the other and pays them all."""
        if not self.cascade:
            usage = self._usage(kind, tier, tokens)
            return self._is_good(kind, name, tier), cost(usage, self.parameters.prices[tier]), usage
        paid, used = 0.0, Usage()
        for each in CASCADE:
            good, usage = self._is_good(kind, name, each), self._usage(kind, each, tokens)
            paid, used = paid + cost(usage, self.parameters.prices[each]), usage
            tells = self._chance(f"{name}:score:{each}") < self.parameters.world["scorer"]
            if good == tells or each == CASCADE[-1]:
                break
        return good, paid, used

    def _is_good(self, kind: str, name: str, tier: Tier) -> bool:
        world = self.parameters.world
        ability = min(self.parameters.ability[tier][kind], 1 - 1e-9)
        logit = math.log(ability / (1 - ability)) - world["slope"] * (self.job.difficulty - 0.5)
        factor = self._factor if kind in ("edit", "repair") else 1.0
        return self._chance(name) < factor / (1 + math.exp(-logit))

    def _usage(self, kind: str, tier: Tier, tokens: int) -> Usage:
        cached = min(tokens, self._cached.get(tier, 0))
        self._cached[tier] = tokens
        return Usage(input=tokens - cached, cached_input=cached, output=OUTPUT[kind], requests=1)

    def _chance(self, name: str) -> float:
        """0..1, the same under every arm."""
        key = f"{self.seed}:{self.job.name}:{name}".encode()
        return int.from_bytes(hashlib.sha256(key).digest()[:7], "big") / 2**56

    def _work(self) -> Brain:
        world = self.parameters.world
        sound, _ = yield "plan", "plan", lambda _: "ls -la"
        whole = 1.0 if sound else world["unsound"]
        for k in range(len(self.job.functions)):
            read, _ = yield "search_read", f"look{k}", self._look(k)
            self._factor = whole * (1.0 if read else world["misread"])
            yield "edit", f"edit{k}", self._edit(k, f"edit{k}")
            self._factor = whole
        for turn in range(int(world["repairs"]) + 1):
            _, seen = yield "run_test", f"test{turn}", lambda _: "python3 check.py"
            bad = [int(k) for k in (re.findall(r"WRONG:([ \d]*)", seen) or [""])[-1].split()]
            if not bad or turn == world["repairs"]:
                break
            for k in bad:
                name = f"repair{turn}:{k}"
                yield "repair", name, self._edit(k, name)
        yield "bookkeeping", "status", lambda _: "git status --short"

    def _look(self, k: int) -> Make:
        return lambda _: f"sed -n '/def f_{k}(/,/return/p' work.py && cat check.py"

    def _edit(self, k: int, name: str) -> Make:
        def make(good: bool) -> str:
            a, b = self.job.functions[k]
            shown = self._chance(f"{name}:shown") < self.parameters.world["shown"]
            wrong = "x - 999" if shown else str(SEEN[0] * a + b)
            body = f"x * {a} + {b}" if good else wrong
            return f"sed -i '/def f_{k}(/,/return/s/return .*/return {body}/' work.py"

        return make


class ByLoss:
    """Per-step RouteLLM: a strong and a weak model, by the odds that the weak one loses."""

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold

    def route(self, request: StepRequest) -> StepChoice:
        """Strong above the threshold; no memory, no caches, no escalation."""
        seen = features(request)
        last = seen.calls[-1] if seen.calls else None
        past = Past(seen.kinds, bool(last and last.failed), last.size if last else 0)
        shares = forecast(past) if last else {"plan": 1.0}
        loss = sum(share * SPOILS[kind][0] for kind, share in shares.items())
        return StepChoice("frontier" if loss >= self.threshold else "minimal", "", f"{loss:.2f}")

    def answered(self, session: str, choice: StepChoice, usage: Usage | None, status: int) -> None:
        """Nothing to learn."""


ARMS: dict[str, tuple[Callable[[], Router], bool]] = {
    "frontier only": (lambda: Pinned(("frontier",)), False),
    "all cheap": (lambda: Pinned(("minimal",)), False),
    **{
        f"RouteLLM-style, loss {t:g}": ((lambda t=t: ByLoss(t)), False)  # type: ignore[misc]
        for t in STRICT
    },
    "FrugalGPT-style cascade": (lambda: Pinned(("frontier",)), True),
    "acr": (StepRouter, False),
}


@dataclass
class Result:
    """Runs of one arm."""

    passed: list[bool] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)
    steps: int = 0
    tiers: dict[str, list[str]] = field(default_factory=dict)

    def add(self, run: Run, work: str) -> None:
        """A finished run and the file that it left."""
        self.passed.append(not run.job.bad(work, JUDGED))
        self.costs.append(run.cost)
        self.steps += run.steps
        for kind, tiers in run.tiers.items():
            self.tiers.setdefault(kind, []).extend(tiers)


def in_process(run: Run, router: Router) -> str:
    """A small agent's session, Messages dialect; work.py as it leaves it."""
    world, work = run.parameters.world, run.job.work
    messages: list[dict[str, Any]] = [{"role": "user", "content": run.job.prompt}]
    body = {"messages": messages, "tools": [{"name": "Bash"}]}
    body["system"] = "x" * int(world["system"] * 4)  # type: ignore[assignment]
    seen, tokens = "", int(world["system"])
    for index in range(200):
        request = StepRequest(
            "messages", "m", body, "s", index, 0.0, "frontier", TIERS, prices=run.parameters.prices
        )
        choice = router.route(request)
        move = run.move(index, choice.tier or "frontier", tokens, seen)
        router.answered("s", choice, move.usage, 200)
        if not move.shell:
            return work
        work, seen = _executed(run.job, work, move.shell)
        if move.kind == "search_read":
            seen += "#" * int(world["result"] * 4)
        tokens += OUTPUT[move.kind] + len(seen) // 4
        call = {"type": "tool_use", "id": str(index), "name": "Bash"}
        result = {"type": "tool_result", "tool_use_id": str(index), "content": seen}
        result["is_error"] = "WRONG" in seen  # type: ignore[assignment]
        messages.append(
            {"role": "assistant", "content": [call | {"input": {"command": move.shell}}]}
        )
        messages.append({"role": "user", "content": [result]})
    raise AssertionError("the simulated model never ended")


def _executed(job: Job, work: str, shell: str) -> tuple[str, str]:
    """(work.py after it, what it prints), of the few commands that the models give."""
    if edit := re.match(
        r"sed -i '/(def f_\d+\()/,/return/s/return \.\*/(return .*)/' work.py", shell
    ):
        head = re.escape(edit[1])
        return re.sub(rf"({head}.*\n    )return .*", lambda m: m[1] + edit[2], work), ""
    if "check.py" in shell and shell.startswith("python3"):
        bad = job.bad(work, SEEN)
        return work, "WRONG: " + " ".join(map(str, bad)) if bad else "ALLRIGHT"
    return work, "ok"


class Models(Script):
    """The scripted model server's answers, given by runs of the simulation."""

    def __init__(self) -> None:
        super().__init__()
        object.__setattr__(self, "run", None)

    def step(self, asked: Asked) -> Step:
        """By the tier in the model's name and the run under way."""
        run: Run | None = getattr(self, "run", None)
        if run is None or not asked.tools:
            return Step(message="A title")
        tier = cast(Tier, asked.model.removeprefix("sim-"))
        said = re.findall(r"WRONG:[ \d]*|ALLRIGHT", asked.raw.decode("utf-8", "replace"))
        move = run.move(asked.step, tier, len(asked.raw) // 4, said[-1] if said else "")
        used = move.usage
        tokens = {
            "input": used.input + used.cached_input,
            "cached": used.cached_input,
            "output": used.output,
            "reasoning": 0,
        }
        if not move.shell:
            return Step(message="Done.", usage=tokens)
        return Step(shell=move.shell, usage=tokens)


@contextmanager
def gateway(url: str, router: Router, parameters: Parameters) -> Iterator[tuple[str, Any]]:
    """(address, ledger) of a real gateway in this process, with any router."""
    import asyncio
    import io
    import threading
    import time

    import httpx2
    import uvicorn

    from acr.gateway.config import Config
    from acr.gateway.ledger import Ledger
    from acr.gateway.proxy import Gateway
    from acr.gateway.tiers import Rung, TierMap

    rungs: Any = {t: Rung(f"sim-{t}", price=p) for t, p in parameters.prices.items()}
    tier_map = TierMap("sim", ("responses", "chat", "messages"), **rungs)
    ledger = Ledger(io.StringIO())
    client = httpx2.AsyncClient(timeout=60)
    app = Gateway(Config("sim", "token", {"sim": url}), router, [tier_map], client, ledger)
    server = uvicorn.Server(
        uvicorn.Config(app, port=0, lifespan="off", ws="none", log_config=None, access_log=False)
    )
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}/token/sim", ledger
    finally:
        server.should_exit = True
        thread.join(10)


def with_agent(agent: str, run: Run, router: Router) -> tuple[str, float]:
    """(work.py, USD by the gateway) after a session of the real agent."""
    models = Models()
    object.__setattr__(models, "run", run)
    with (
        tempfile.TemporaryDirectory(prefix="acr-sim-", dir="/var/tmp") as folder,
        ModelServer(models) as server,
        gateway(server.url, router, run.parameters) as (address, ledger),
    ):
        root, home = Path(folder) / "repo", Path(folder) / "home"
        root.mkdir()
        home.mkdir()
        (root / "work.py").write_text(run.job.work)
        (root / "check.py").write_text(run.job.check)
        subprocess.run(["git", "init", "-q"], cwd=root, check=True)
        argv, env = COMMANDS[agent](run.job.prompt, home, root, address)
        done = subprocess.run(
            argv,
            cwd=root,
            env={"PATH": _path(), "HOME": str(home), "TMPDIR": "/var/tmp", "NO_PROXY": "*", **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        if done.returncode or not run.steps:
            raise RuntimeError(f"{agent}: {done.stdout[-800:]}{done.stderr[-800:]}")
        work = (root / "work.py").read_text()
    return work, ledger.total.cost


def _path() -> str:
    own = Path(os.environ.get("ACR_TEST_AGENTS", "")) / "node_modules" / ".bin"
    return f"{own}{os.pathsep}{os.environ['PATH']}"


def _claude(prompt: str, home: Path, root: Path, url: str) -> tuple[list[str], dict[str, str]]:
    argv = ["claude", "-p", prompt, "--output-format", "json", "--allowedTools", "Bash"]
    return [*argv, "--permission-mode", "acceptEdits", "--model", "sim-frontier"], {
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_API_KEY": "dummy",
        "CLAUDE_CONFIG_DIR": str(home / ".claude"),
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
    }


def _codex(prompt: str, home: Path, root: Path, url: str) -> tuple[list[str], dict[str, str]]:
    provider = f'{{name="sim", base_url={json.dumps(url + "/v1")}, env_key="SIM_KEY"}}'
    argv = ["codex", "exec", "--json", "--skip-git-repo-check", "-m", "sim-frontier"]
    argv += ["-c", 'model_provider="sim"', "-c", f"model_providers.sim={provider}"]
    argv += ["--dangerously-bypass-approvals-and-sandbox", "-C", str(root), prompt]
    return argv, {"CODEX_HOME": str(home), "SIM_KEY": "dummy"}


COMMANDS = {"claude": _claude, "codex": _codex}


def simulate(
    parameters: Parameters, tasks: Sequence[Job], seeds: range, agent: str = "", arms: str = ""
) -> dict[str, Result]:
    """Results by arm. With an agent, its money as the gateway counted it must be the world's."""
    found: dict[str, Result] = {}
    for name, (make, cascade) in ARMS.items():
        if arms and not any(wanted in name for wanted in arms.split(",")):
            continue
        result = found[name] = Result()
        for job in tasks:
            for seed in seeds:
                run = Run(job, seed, parameters, cascade=cascade)
                if not agent:
                    result.add(run, in_process(run, make()))
                    continue
                work, counted = with_agent(agent, run, make())
                if not cascade and not math.isclose(counted, run.cost, rel_tol=1e-6):
                    raise AssertionError(f"the gateway counted {counted}, the models {run.cost}")
                result.add(run, work)
    return found


def show(found: Mapping[str, Result], title: str) -> None:
    """Prints the table of a simulation."""
    base = found.get("frontier only")
    print(
        f"\nSimulation, {title}; completion of verdicts with Wilson's 95 %, cost against frontier"
    )
    for name, one in found.items():
        n, wins = len(one.passed), sum(one.passed)
        low, high = wilson(wins, n)
        line = f"  {name:<26} {wins / n:6.1%} [{low:.0%}, {high:.0%}] n={n}"
        line += f"  ${sum(one.costs) / n:.4f} a task, {one.steps / n:.1f} steps"
        if base and base is not one:
            kept = wins / max(1, sum(base.passed))
            line += f"  keeps {kept:.1%}, saves {1 - sum(one.costs) / sum(base.costs):.1%}"
        print(line)
    if "acr" in found:
        for kind, tiers in found["acr"].tiers.items():
            shares = (f"{t} {tiers.count(t) / len(tiers):.0%}" for t in TIERS if t in tiers)
            print(f"    acr, {kind}: {', '.join(shares)}")


def main() -> None:
    """Prints parameters and tables."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--agents", default="", help="codex,claude: the real binaries")
    options.add_argument("--full", action="store_true", help="20 tasks x 5 seeds")
    options.add_argument("--tasks", type=int, default=0)
    options.add_argument("--seeds", type=int, default=0)
    options.add_argument("--first-seed", type=int, default=0, help="others were tuned on: 100")
    options.add_argument("--arms", default="", help="parts of names of arms, with commas")
    options.add_argument("--parameters", type=Path, default=PARAMETERS)
    chosen = options.parse_args()
    parameters = Parameters.load(chosen.parameters)
    small = (2, 1) if chosen.agents else (8, 2)
    tasks, n = (20, 5) if chosen.full else small
    tasks, n = chosen.tasks or tasks, chosen.seeds or n
    seeds = range(chosen.first_seed, chosen.first_seed + n)
    print("This is a simulation. Parameters:\n")
    print(chosen.parameters.read_text())
    sys.stdout.flush()
    for agent in chosen.agents.split(","):
        found = simulate(parameters, jobs(tasks), seeds, agent, chosen.arms)
        show(found, f"{agent or 'in process'}, {tasks} tasks x {n} seeds")


if __name__ == "__main__":
    main()
