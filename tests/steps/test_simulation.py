"""The simulation is sound, and in it acr is worth having: small; the figures are in README."""

from __future__ import annotations

import os

import pytest

from tests.simulate_steps import ARMS, JUDGED, Parameters, Run, in_process, jobs, simulate


def test_a_task_is_wrong_before_and_a_perfect_model_makes_it_right() -> None:
    stated = Parameters.load()
    perfect = {tier: dict.fromkeys(kinds, 1.0) for tier, kinds in stated.ability.items()}
    parameters = Parameters(stated.prices, perfect, {**stated.world, "slope": 0.0})
    for job in jobs(3):
        assert job.bad(job.work, JUDGED)
        run = Run(job, 0, parameters, cascade=False)
        assert not job.bad(in_process(run, ARMS["acr"][0]()), JUDGED)
        assert "repair" not in run.tiers


def test_the_same_seed_gives_the_same_result() -> None:
    parameters = Parameters.load()
    one, two = (simulate(parameters, jobs(2), range(1), arms="acr")["acr"] for _ in range(2))
    assert (one.costs, one.passed) == (two.costs, two.passed)


def test_acr_is_cheaper_than_frontier_and_better_than_cheap() -> None:
    found = simulate(Parameters.load(), jobs(8), range(2))
    acr, dear, cheap = (found[name] for name in ("acr", "frontier only", "all cheap"))
    assert sum(acr.costs) < 0.5 * sum(dear.costs)
    assert sum(acr.passed) > sum(cheap.passed)


@pytest.mark.real_agents
@pytest.mark.parametrize("agent", ["claude", "codex"])
def test_real_agents_edit_real_files_and_the_gateway_counts_the_same_money(agent: str) -> None:
    """`simulate` refuses when the gateway's money is not that of the models."""
    if not os.environ.get("ACR_TEST_AGENTS"):
        assert os.environ.get("CI") != "true", "ACR_TEST_AGENTS names no installed agents"
        pytest.skip("ACR_TEST_AGENTS names no installed agents")
    found = simulate(Parameters.load(), jobs(1), range(1), agent, "acr")
    assert found["acr"].steps >= 5
