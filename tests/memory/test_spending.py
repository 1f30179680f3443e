"""The budget over all runs: reserved before a call, settled after it, released with its process."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acr.errors import BudgetError
from acr.memory.spending import Call, Purse
from acr.memory.store import Memory
from acr.settings import BudgetSettings, Caps
from tests.memory.makers import task

DAY = BudgetSettings(per_day=1.0)


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Memory]:
    with Memory.open(tmp_path / "memory.db") as opened:
        yield opened


def call(name: str, expected: float = 0.4, **fields: object) -> Call:
    return Call(name, "p", "try", expected, **fields)  # type: ignore[arg-type]


def left(memory: Memory, budget: BudgetSettings = DAY, run: str = "t") -> list[float]:
    return [round(room.left, 6) for room in Purse(memory, budget, task(run)).rooms()]


def test_without_caps_nothing_is_refused_and_all_is_noted(memory: Memory) -> None:
    purse = Purse(memory, BudgetSettings(), task("t"))
    assert purse.rooms() == ()
    with purse.reserved(call("a", 1e6)) as reservation:
        reservation.settle(0.25)
    assert left(memory) == [0.75]


def test_a_reservation_counts_until_what_was_spent_is_known(memory: Memory) -> None:
    purse = Purse(memory, DAY, task("t"))
    with purse.reserved(call("a")) as reservation:
        assert left(memory) == [0.6]
        reservation.settle(0.1)
    assert left(memory) == [0.9]


def test_what_could_not_be_started_cost_nothing(memory: Memory) -> None:
    purse = Purse(memory, DAY, task("t"))
    with contextlib.suppress(KeyError), purse.reserved(call("a")):
        raise KeyError
    with purse.reserved(call("b")):
        pass
    assert left(memory) == [1.0]


def test_money_that_was_spent_counts_even_if_all_breaks_off_then(memory: Memory) -> None:
    purse = Purse(memory, DAY, task("t"))
    with (
        contextlib.suppress(KeyboardInterrupt),
        purse.reserved(call("a")) as reservation,
    ):
        reservation.settle(0.3)
        raise KeyboardInterrupt
    assert left(memory) == [0.7]


def test_an_unknown_cost_counts_as_what_was_set_aside(memory: Memory) -> None:
    purse = Purse(memory, DAY, task("t"))
    with purse.reserved(call("a", known=False)) as reservation:
        reservation.settle(None)
    assert left(memory) == [0.6]
    with purse.reserved(call("b", 5.0, known=False)) as reservation:  # more than is left
        assert left(memory) == [0.0]
        reservation.settle(0.2)
    assert left(memory) == [0.4]


def test_a_call_that_does_not_fit_is_refused_with_the_cap_and_the_setting(memory: Memory) -> None:
    purse = Purse(memory, DAY, task("t"))
    with (
        pytest.raises(BudgetError, match=r"\$1\.00 left of the budget of \$1\.00 a day.*per_day"),
        purse.reserved(call("a", 1.5)),
    ):
        pass
    with purse.reserved(call("b", 1.0)) as reservation:
        reservation.settle(1.2)
    with pytest.raises(BudgetError, match=r"a day is spent \(\$1\.20"), purse.reserved(call("c")):
        pass
    with purse.reserved(call("d"), over=True) as reservation:
        assert reservation.cap is None
        reservation.settle(0.1)


def test_a_plan_is_noted_and_counted_by_no_cap(memory: Memory) -> None:
    purse = Purse(memory, DAY, task("t"))
    with purse.reserved(call("a", 50.0, plan=True)) as reservation:
        reservation.settle(50.0)
        assert reservation.cap is None
    assert left(memory) == [1.0]


def test_every_cap_holds_for_its_own(memory: Memory) -> None:
    budget = BudgetSettings(
        per_run=2.0,
        per_day=9.0,
        per_month=20.0,
        profiles={"p": Caps(per_day=1.0), "other": Caps(per_month=1.0)},
        repositories={"/somewhere": Caps(per_day=3.0), "/elsewhere": Caps(per_day=0.1)},
    )
    with Purse(memory, budget, task("t")).reserved(call("a")) as reservation:
        reservation.settle(0.5)
    rooms = {room.words: room.left for room in Purse(memory, budget, task("t")).rooms()}
    assert rooms == {
        "a run": 1.5, "a day": 8.5, "a month": 19.5, "a day here": 2.5, "a day for p": 0.5,
        "a month for other": 1.0,
    }  # fmt: skip
    other = task("u", root="/elsewhere", repository="another")
    rooms = {room.words: room.left for room in Purse(memory, budget, other).rooms()}
    assert (rooms["a run"], rooms["a day here"], rooms["a day"]) == (2.0, 0.1, 8.5)


def test_yesterday_and_last_month_are_over(memory: Memory) -> None:
    budget = BudgetSettings(per_day=1.0, per_month=1.0)
    with Purse(memory, budget, task("t")).reserved(call("a")) as reservation:
        reservation.settle(0.5)
    now = time.localtime()
    midnight = time.mktime((*now[:3], 0, 0, 0, 0, 0, -1))
    memory.db.execute("UPDATE spending SET created = ?", (midnight - 1,))
    assert left(memory, budget) == [1.0, 1.0 if now.tm_mday == 1 else 0.5]
    memory.db.execute("UPDATE spending SET created = ?", (midnight - 32 * 86_400,))
    assert left(memory, budget) == [1.0, 1.0]


def test_an_agent_that_can_be_held_to_its_cap_is_given_what_is_reserved(memory: Memory) -> None:
    purse = Purse(memory, BudgetSettings(per_day=10.0), task("t"))
    with purse.reserved(call("a", 0.5, capped=True)) as reservation:
        assert reservation.cap == 2.0
        assert left(memory, BudgetSettings(per_day=10.0)) == [8.0]
    tight = Purse(memory, BudgetSettings(per_run=0.75, per_day=10.0), task("u"))
    with tight.reserved(call("b", 0.5, capped=True)) as reservation:
        assert reservation.cap == 0.5  # more would leave the others less than half
    alone = Purse(memory, BudgetSettings(per_run=3.0), task("v"))
    with alone.reserved(call("c", 0.5, capped=True)) as reservation:
        assert reservation.cap == 3.0


def test_what_a_dead_process_reserved_is_released(memory: Memory) -> None:
    code = (
        "import os, sys; from pathlib import Path; from acr.memory.spending import *\n"
        "from acr.memory.store import Memory; from acr.settings import BudgetSettings\n"
        "from tests.memory.makers import task\n"
        "m = Memory.open(Path(sys.argv[1]))\n"
        "with Purse(m, BudgetSettings(per_day=1.0), task('t')).reserved(\n"
        "    Call('dead', 'p', 'try', 0.9)):\n"
        "    print('reserved', flush=True); sys.stdin.read(); os._exit(9)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(memory.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "reserved\n"
    assert left(memory) == [0.1]
    child.communicate("")
    assert left(memory) == [1.0]


def test_runs_side_by_side_cannot_reserve_more_than_there_is(tmp_path: Path) -> None:
    start = Barrier(16)

    def one(number: int) -> bool:
        with Memory.open(tmp_path / "memory.db") as own:
            purse = Purse(own, DAY, task(f"t{number}"))
            start.wait()
            try:
                with purse.reserved(call(f"c{number}", 0.3)) as reservation:
                    reservation.settle(0.3)
            except BudgetError:
                return False
            return True

    Memory.open(tmp_path / "memory.db").close()
    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(one, range(16))) == 3


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(st.floats(0.01, 0.6), st.floats(0.0, 1.0)), max_size=12))
def test_calls_that_cost_at_most_what_is_expected_never_pass_the_cap(
    memory: Memory, calls: list[tuple[float, float]]
) -> None:
    memory.db.execute("DELETE FROM spending")
    purse, spent = Purse(memory, DAY, task("t")), 0.0
    for number, (expected, share) in enumerate(calls):
        with (
            contextlib.suppress(BudgetError),
            purse.reserved(call(str(number), expected)) as reservation,
        ):
            reservation.settle(expected * share)
            spent += expected * share
    assert spent <= 1.0 + 1e-6
    assert left(memory) == [pytest.approx(max(0.0, 1.0 - spent), abs=1e-5)]
