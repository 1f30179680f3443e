"""The budget over all runs: what it leaves, and what calls reserve before and settle after.

A reservation counts as spent until it is settled, so that runs side by side cannot overshoot a cap
together. Its process holds a lock meanwhile, which the kernel gives back however the process ends:
what nobody holds any more is released.
"""

from __future__ import annotations

import contextlib
import fcntl
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from acr.errors import BudgetError
from acr.nouns import Period, Room, Task
from acr.settings import BudgetSettings, Caps

if TYPE_CHECKING:
    from acr.memory.store import Memory

__all__ = ["Call", "Purse", "Reservation"]

SLACK = 4.0
"""How many times what is expected is reserved, of at most half of what is left, for a call that its
agent holds to that: expectations are rough, and others want to run too."""
ROUNDING = 1e-9
"""USD by which sums of floats may be off."""
LATEST = 20
"""Judge calls whose mean is expected of the next one."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call that acr is about to make."""

    id: str
    profile: str
    purpose: str
    """try or judge."""
    expected: float
    """USD."""
    known: bool = True
    """False when nobody knows the price: `expected` is a guess."""
    plan: bool = False
    """A subscription pays: no cap counts it."""
    capped: bool = False
    """The agent stops by itself at the reserved amount."""


@dataclass(slots=True)
class Reservation:
    """What may be spent on one call."""

    cap: float | None
    """USD at which an agent that can should stop; None without a cap."""
    spent: float | None = field(default=None, init=False)
    done: bool = field(default=False, init=False)

    def settle(self, spent: float | None) -> None:
        """Says what the call cost; where that is unknown, what was reserved counts."""
        self.spent, self.done = spent, True


class Purse:
    """What one run may spend, by all caps that hold for it."""

    def __init__(self, memory: Memory, budget: BudgetSettings, task: Task) -> None:
        self._memory, self._budget, self._task = memory, budget, task

    def rooms(self) -> tuple[Room, ...]:
        """What each cap leaves now; empty without caps."""
        if not any(True for _ in self._caps()):
            return ()
        with self._memory.writing():
            self._release()
            return tuple(self._rooms())

    @contextlib.contextmanager
    def reserved(self, call: Call, *, over: bool = False) -> Iterator[Reservation]:
        """Reserves what `call` may cost, and settles it when the block ends.

        A block that ends without `settle`, as when nothing could be started, has cost nothing.
        `over` goes beyond the caps. Raises BudgetError when they leave too little.
        """
        path, reservation = self._lock(call.id), None
        with open(path, "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            try:
                with self._memory.writing():
                    self._release()
                    amount, reservation = self._amount(call, over)
                    self._insert(call, amount)
                yield reservation
            finally:
                if reservation:
                    self._settle(call, reservation, amount)
                path.unlink(missing_ok=True)

    def judged(self, profile: str) -> float | None:
        """USD that the latest judge calls of a profile cost on average; None without any."""
        mean = self._execute(
            "SELECT avg(spent) FROM (SELECT spent FROM spending WHERE purpose = 'judge' AND"
            " profile = ? AND estimated = 0 AND settled IS NOT NULL ORDER BY seq DESC LIMIT ?)",
            profile,
            LATEST,
        ).fetchone()[0]
        return None if mean is None else float(mean)

    def _amount(self, call: Call, over: bool) -> tuple[float, Reservation]:
        """(USD to reserve, the reservation)."""
        rooms = [room for room in self._rooms() if room.profile in ("", call.profile)]
        if over or call.plan or not rooms:
            return call.expected, Reservation(None)
        tightest = min(rooms, key=lambda room: room.left)
        if tightest.left <= 0 < call.expected or (
            call.known and call.expected > tightest.left + ROUNDING
        ):
            raise BudgetError(_refusal(tightest, call.expected))
        shared = [room.left for room in rooms if room.period != "run"]
        amount = min(call.expected, tightest.left)
        if call.capped and shared:
            share = min(SLACK * call.expected, tightest.left / 2)
            amount = max(amount, share)
            return amount, Reservation(amount)
        return amount, Reservation(tightest.left)

    def _caps(self) -> Iterator[tuple[str, Period, float, str, str]]:
        """(setting, period, USD, profile, repository) of each cap that holds for this run."""
        budget = self._budget
        if budget.per_run is not None:
            yield "budget.per_run", "run", budget.per_run, "", ""
        own = budget.repositories.get(self._task.root, Caps())
        parts: list[tuple[str, Caps | BudgetSettings, str, str]] = [("budget", budget, "", "")]
        parts += [(f'budget.repositories."{self._task.root}"', own, "", self._task.repository)]
        parts += [(f"budget.profiles.{n}", caps, n, "") for n, caps in budget.profiles.items()]
        for where, caps, profile, repository in parts:
            if caps.per_day is not None:
                yield f"{where}.per_day", "day", caps.per_day, profile, repository
            if caps.per_month is not None:
                yield f"{where}.per_month", "month", caps.per_month, profile, repository

    def _rooms(self) -> Iterator[Room]:
        for setting, period, limit, profile, repository in self._caps():
            where = ["plan = 0"]
            values: list[object] = []
            for column, value in (("profile", profile), ("repository", repository)):
                if value:
                    where.append(f"{column} = ?")
                    values.append(value)
            if period == "run":
                where.append("task = ?")
                values.append(self._task.id)
            else:
                where.append("created >= ?")
                values.append(_start(period))
            total = "SELECT total(coalesce(spent, reserved)) FROM spending WHERE"
            spent = self._execute(f"{total} {' AND '.join(where)}", *values).fetchone()[0]
            yield Room(setting, period, limit, spent, profile)

    def _release(self) -> None:
        """Takes away what processes reserved that are no more."""
        open_ = self._execute("SELECT id FROM spending WHERE settled IS NULL").fetchall()
        for row in open_:
            if not _held(self._lock(row["id"])):
                self._execute("DELETE FROM spending WHERE id = ?", row["id"])

    def _insert(self, call: Call, amount: float) -> None:
        self._execute(
            "INSERT INTO spending (id, task, profile, repository, purpose, created, reserved,"
            " estimated, plan) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            call.id,
            self._task.id,
            call.profile,
            self._task.repository,
            call.purpose,
            time.time(),
            amount,
            not call.known,
            call.plan,
        )

    def _settle(self, call: Call, reservation: Reservation, amount: float) -> None:
        """Also where somebody took the reservation away meanwhile: what was spent was spent."""
        unknown = reservation.spent is None
        spent = min(amount, call.expected) if unknown else reservation.spent
        with self._memory.writing():
            if not reservation.done:
                self._execute("DELETE FROM spending WHERE id = ?", call.id)
                return
            known = self._execute("SELECT 1 FROM spending WHERE id = ?", call.id).fetchone()
            if not known:
                self._insert(call, amount)
            self._execute(
                "UPDATE spending SET spent = ?, settled = ?, estimated = ? WHERE id = ?",
                spent,
                time.time(),
                unknown,
                call.id,
            )

    def _lock(self, call: str) -> Path:
        folder = self._memory.path.parent / "locks"
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder / f"spending-{call}"

    def _execute(self, sql: str, *values: object) -> Any:
        return self._memory.db.execute(sql, values)


def _refusal(room: Room, expected: float) -> str:
    """Why a cap allows no more, and what to do."""
    text = (
        f"the ${room.left:.2f} left of the {room.name} does not pay for it "
        f"(${expected:.2f} expected)"
    )
    return f"{text if room.left else room.spent_words}; raise {room.remedy}"


def _held(path: Path) -> bool:
    """Whether a living process holds the lock; this one's own included."""
    try:
        with open(path, encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _start(period: Period) -> float:
    """When this day, or month, began where the user is; seconds since the epoch."""
    now = time.localtime()
    day = now.tm_mday if period == "day" else 1
    return time.mktime((now.tm_year, now.tm_mon, day, 0, 0, 0, 0, 0, -1))
