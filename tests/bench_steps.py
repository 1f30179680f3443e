"""Figures of step routing on recorded trajectories: python -m tests.bench_steps [--quick]

(a) how well the next step's kind is foretold, on repositories and on sources that were left out;
(b) what routing would have cost on the same steps, caches priced. Nothing is replayed: the steps
are those that one model took, so cost is arithmetic and quality is not measured. Needs acr[bench].
"""

from __future__ import annotations

import argparse
import math
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from acr.nouns import Price, Tier
from acr.steps.kind import KINDS, Past, forecast
from acr.steps.policy import OUTPUT, Rules, View, choose
from acr.steps.router import StepRouter
from acr.training.steps import Recorded, Trajectory, fit, load, pasts
from tests.steps.requests import DIALECTS, request

GEMINI = Price(2.0, 12.0, 0.2)
"""What the recorded runs paid per million tokens."""
ACTS = ("edit", "repair")
MINI = "gruckion/mini-swe-agent"


@dataclass(frozen=True)
class Hit:
    """One step foretold."""

    right: bool
    second: bool
    """Right with the second guess allowed."""
    share: float
    """What the first guess was given."""
    acts: bool
    """Whether it was told rightly that the step is an edit or a repair, or is not."""
    floor: bool
    """Whether the commonest kind after the last kind and error flag is right."""


def foretold(train: Sequence[Trajectory], test: Sequence[Trajectory]) -> list[list[Hit]]:
    """Hits per trajectory of `test` with a model of `train`."""
    weights = fit(train)
    after: dict[tuple[str, bool], Counter[str]] = defaultdict(Counter)
    for each in train:
        for past, step in zip(pasts(each), each.steps, strict=True):
            after[past.kinds[-1] if past.kinds else "", past.failed][step.kind] += 1
    floor = {key: found.most_common(1)[0][0] for key, found in after.items()}
    return [[_hit(forecast(p, weights), p, s, floor) for p, s in _known(each)] for each in test]


def _known(each: Trajectory) -> list[tuple[Past, Recorded]]:
    return list(zip(pasts(each), each.steps, strict=True))


def _hit(
    shares: dict[str, float], past: Past, step: Recorded, floor: dict[tuple[str, bool], str]
) -> Hit:
    best, second = sorted(shares, key=lambda k: -shares[k])[:2]
    acts = sum(shares[kind] for kind in ACTS) >= 0.5
    common = floor.get((past.kinds[-1] if past.kinds else "", past.failed), "search_read")
    return Hit(
        best == step.kind,
        step.kind in (best, second),
        shares[best],
        acts == (step.kind in ACTS),
        common == step.kind,
    )


def rate(
    hits: Sequence[Sequence[Hit]],
    of: Callable[[Hit], bool],
    where: Callable[[Hit], bool] = lambda _: True,
) -> str:
    """`62.1 % [61.0, 63.2]`: bootstrap over trajectories, whose steps are alike."""
    sums = [(sum(of(h) for h in t if where(h)), sum(map(where, t))) for t in hits]
    sums = [(a, n) for a, n in sums if n]
    if not sums:
        return "-"
    draw = random.Random(0)
    drawn = (draw.choices(sums, k=len(sums)) for _ in range(300))
    means = sorted(sum(a for a, _ in each) / sum(n for _, n in each) for each in drawn)
    mean = sum(a for a, _ in sums) / sum(n for _, n in sums)
    return f"{mean:.1%} [{means[7]:.1%}, {means[-8]:.1%}]"


def kind_figures(loaded: Sequence[Trajectory], folds: int) -> None:
    """Prints (a)."""
    hits = _folded(loaded, [t.group for t in loaded], folds)
    print(f"\n(a) kind of the next step; {folds} folds, no repository in two of them")
    _table("all", [t for found in hits.values() for t in found])
    for source, found in sorted(hits.items()):
        _table(source, found)
    print("\n    trajectories left out, their repositories not:")
    hits = _folded(loaded, [str(n) for n in range(len(loaded))], folds)
    _table("all", [t for found in hits.values() for t in found])
    sources = sorted({t.source for t in loaded})
    print("\n    the source left out of the fit:")
    for source in sources:
        test = [t for t in loaded if t.source == source]
        _table(source, foretold([t for t in loaded if t.source != source], test))


def _folded(
    loaded: Sequence[Trajectory], groups: Sequence[str], folds: int
) -> dict[str, list[list[Hit]]]:
    """Hits by source; trajectories of a group are in one fold."""
    names = sorted(set(groups))
    random.Random(0).shuffle(names)
    fold = {group: n % folds for n, group in enumerate(names)}
    hits: dict[str, list[list[Hit]]] = defaultdict(list)
    for n in range(folds):
        inside = [fold[group] == n for group in groups]
        test = [t for t, held in zip(loaded, inside, strict=True) if held]
        train = [t for t, held in zip(loaded, inside, strict=True) if not held]
        for each, told in zip(test, foretold(train, test), strict=True):
            hits[each.source].append(told)
    return hits


def _table(name: str, hits: Sequence[Sequence[Hit]]) -> None:
    steps = [h for t in hits for h in t]
    sure = sum(h.share >= 0.6 for h in steps) / len(steps)
    print(f"  {name} (n = {len(steps)} steps, {len(hits)} trajectories)")
    print(f"    right                      {rate(hits, lambda h: h.right)}")
    print(f"    floor: after the last kind {rate(hits, lambda h: h.floor)}")
    print(f"    among two guesses          {rate(hits, lambda h: h.second)}")
    print(
        f"    right where share >= 60 %  {rate(hits, lambda h: h.right, lambda h: h.share >= 0.6)}"
        f"  ({sure:.0%} of steps)"
    )
    print(f"    edit/repair or not         {rate(hits, lambda h: h.acts)}")


def dollars(step: Recorded, cached: int, price: Price) -> float:
    """USD of a step with `cached` tokens of its input in the cache."""
    total = step.input + step.cached + step.written
    read = price.cached_input if price.cached_input is not None else price.input
    output = step.output if step.complete else OUTPUT[step.kind]  # a log that broke off
    return ((total - cached) * price.input + cached * read + output * price.output) / 1e6


def cost(each: Trajectory, models: Sequence[str], prices: Mapping[str, Price]) -> float:
    """USD of a trajectory; every model keeps the prefix that it saw last."""
    last: dict[str, int] = {}
    whole = 0.0
    for step, model in zip(each.steps, models, strict=True):
        total = step.input + step.cached + step.written
        whole += dollars(step, min(total, last.get(model, 0)), prices[model])
        last[model] = total
    return whole


def cheaper(price: Price, times: float) -> Price:
    """The same at a fraction."""
    read = price.cached_input
    return Price(price.input / times, price.output / times, read and read / times)


def arithmetic(loaded: Sequence[Trajectory]) -> None:
    """Prints the two savings that the data's page states, with both ways to see caches."""
    runs = [t for t in loaded if t.source == MINI]
    prices = {"dear": GEMINI, "cheap": cheaper(GEMINI, 8)}
    print("\n(b) Gemini runs, a model 8x cheaper, kinds known beforehand")
    looks = {"search_read", "bookkeeping"}
    for name, cheap in (
        ("search_read and bookkeeping cheap", looks),
        ("all but edit and repair cheap", set(KINDS) - set(ACTS)),
    ):
        priced = lost = dear = paid = 0.0
        for t in runs:
            models = ["cheap" if s.kind in cheap else "dear" for s in t.steps]
            priced += cost(t, models, prices)
            dear += cost(t, ["dear"] * len(t.steps), prices)
            paid += sum(s.cost or 0.0 for s in t.steps)
            pairs = zip(t.steps, models, strict=True)
            lost += sum(dollars(s, s.cached, prices[m]) for s, m in pairs)
        print(f"  {name}: saves {1 - priced / dear:.1%}; lost cache ignored {1 - lost / paid:.1%}")


def frontier(loaded: Sequence[Trajectory]) -> None:
    """Prints saving against the share of edits that stay on the frontier tier."""
    print("\n(b) saving of acr's policy against share of edits and repairs kept on frontier,")
    print("    by `caution`; kinds foretold by the shipped model, which has seen these runs")
    gaps = ((1.0, 0.6, 0.2), (1.0, 0.4, 0.1), (1.0, 0.2, 0.025))
    sources = sorted({t.source for t in loaded if any(s.input + s.cached for s in t.steps)})
    for top, middle, low in gaps:
        for source in sources:
            runs = [t for t in loaded if t.source == source]
            prices: dict[Tier, Price] = {
                "minimal": cheaper(GEMINI, 1 / low),
                "mid": cheaper(GEMINI, 1 / middle),
                "frontier": cheaper(GEMINI, 1 / top),
            }
            points = [_point(runs, prices, caution) for caution in (0, 1, 3, 6, 12, 40)]
            said = "  ".join(f"{s:.0%}@{k:.0%}" for k, s in points)
            print(f"  minimal:mid:frontier {_ratio(prices)}  {source} (n = {len(runs)}): {said}")
    print(
        "    saving@edits kept, caution 0 1 3 6 12 40, default 6; where the log has no\n"
        "    true output the usual length stands in"
    )


def _ratio(prices: dict[Tier, Price]) -> str:
    low = prices["minimal"].input
    return ":".join(f"{price.input / low:g}" for price in prices.values())


def _point(
    runs: Iterable[Trajectory], prices: dict[Tier, Price], caution: float
) -> tuple[float, float]:
    """(share of edits on frontier, saving)."""
    routed = whole = kept = edits = 0.0
    named = {str(tier): price for tier, price in prices.items()}
    for each in runs:
        tiers = route(each, prices, Rules(caution=caution, floors={}))
        routed += cost(each, tiers, named)
        whole += cost(each, ["frontier"] * len(each.steps), named)
        acts = [t for t, s in zip(tiers, each.steps, strict=True) if s.kind in ACTS]
        kept += acts.count("frontier")
        edits += len(acts)
    return kept / max(1.0, edits), 1 - routed / whole


def route(each: Trajectory, prices: dict[Tier, Price], rules: Rules) -> list[str]:
    """The tiers that the policy gives, told nothing of a step before it is taken."""
    tiers: list[str] = []
    cached: dict[Tier, int] = {}
    last: Tier | None = None
    run = failures = 0
    for n, (past, step) in enumerate(_known(each)):
        if past.kinds and past.kinds[-1] == "run_test":
            failures = failures + 1 if past.failed else 0
        total = step.input + step.cached + step.written
        view = View(
            shares={"repair": 1.0} if past.failed else forecast(past) if n else {"plan": 1.0},
            offered=tuple(prices),
            asked="frontier",
            context=total,
            cached=cached,
            prices=prices,
            first=not n,
            last=last,
            run=run,
            failures=failures,
            position=n,
        )
        tier = choose(view, rules)[0] or "frontier"
        run = run + 1 if tier == last else 1
        last = tier
        cached[tier] = total
        tiers.append(tier)
    return tiers


def speed(loaded: Sequence[Trajectory]) -> None:
    """Prints milliseconds of a forecast, and of a whole choice late in a long conversation."""
    known = [past for t in loaded[:40] for past in pasts(t)]
    print(f"\nforecast: {_timed(forecast, known)}")
    turn = ("pytest -q", "line\n" * 800, True), ("sed -i s/a/b/ x.py", "", False)
    asked = [request(d, turn * 100, session=d) for d in DIALECTS] * 100
    print(f"whole choice, 200 turns, 400 KB: {_timed(StepRouter().route, asked)}")


def _timed(call: Callable[[Any], object], given: Sequence[Any]) -> str:
    marks = [time.perf_counter()]
    for each in given:
        call(each)
        marks.append(time.perf_counter())
    took = sorted(b - a for a, b in pairwise(marks))
    late = took[math.ceil(len(took) * 0.99) - 1]
    return f"median {took[len(took) // 2] * 1e3:.3f} ms, p99 {late * 1e3:.3f} ms, n = {len(took)}"


def main() -> None:
    """Prints all figures."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--quick", action="store_true", help="two folds, no source left out")
    chosen = options.parse_args()
    loaded = load()
    print(f"{sum(len(t.steps) for t in loaded)} steps, {len(loaded)} trajectories")
    arithmetic(loaded)
    frontier(loaded)
    speed(loaded)
    kind_figures(loaded, 2 if chosen.quick else 5)


if __name__ == "__main__":
    main()
