"""Outcomes as views of memory.db, for people and their tools: what each column means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["VIEWS", "View"]


@dataclass(frozen=True, slots=True)
class View:
    """A view of memory.db."""

    about: str
    select: str
    columns: Mapping[str, tuple[str, str]]
    """Column -> (text, integer or real; what it means); every one may be null where unknown."""


FACTS = {
    "repository": ("text", "stable id of the repository"),
    "dimension": ("text", "kind of request"),
    "language": ("text", "programming language"),
}
MONEY = "USD; null when unknown"
VIEWS: Mapping[str, View] = {
    "outcomes": View(
        "one row per attempt; of pruned ones only figures are left",
        "SELECT f.seq, f.task, f.attempt, t.prompt, f.dimension, f.language, f.repository,"
        " f.profile, f.agent, f.model, a.status ran, v.status verdict, v.human, f.status, f.score,"
        " f.weight, f.cost, f.judging, f.plan, f.tokens, f.duration, f.explored,"
        " datetime(f.started, 'unixepoch') started, v.reason"
        " FROM figures f LEFT JOIN attempts a ON a.id = f.attempt"
        " LEFT JOIN tasks t ON t.id = f.task LEFT JOIN verdicts v ON v.attempt = f.attempt",
        {
            "seq": ("integer", "order in which they were stored"),
            "task": ("text", "id of the run; acr why and acr runs show take it"),
            "attempt": ("text", "id of the attempt"),
            "prompt": ("text", "what was asked, secrets taken out"),
            "dimension": FACTS["dimension"],
            "language": FACTS["language"],
            "repository": FACTS["repository"],
            "profile": ("text", "name of the profile"),
            "agent": ("text", "codex, claude, opencode, ..."),
            "model": ("text", "the model that answered; empty when the agent does not tell"),
            "ran": ("text", "done, error, denied, timeout or aborted"),
            "verdict": ("text", "the verifier's: pass, fail or unverified"),
            "human": ("text", "a person's verdict, which counts instead"),
            "status": ("text", "the verdict that counts"),
            "score": ("real", "0..1"),
            "weight": ("real", "how much the verdict counts, 0..1; 0 when unverified"),
            "cost": ("real", f"of the attempt, sub-agents included; {MONEY}"),
            "judging": ("real", f"of verifying it; {MONEY}"),
            "plan": ("integer", "1 when a subscription pays: cost is the list price"),
            "tokens": ("integer", "of all classes"),
            "duration": ("real", "seconds; 0 when unknown"),
            "explored": ("integer", "1 when it was chosen to learn of it"),
            "started": ("text", "UTC, YYYY-MM-DD HH:MM:SS"),
            "reason": ("text", "the verdict in a line"),
        },
    ),
    "runs": View(
        "one row per run, all its tries together",
        "SELECT f.task run, datetime(min(f.started), 'unixepoch') started, t.prompt,"
        " min(f.dimension) dimension, min(f.language) language, min(f.repository) repository,"
        " count(*) tries, group_concat(f.profile, ' > ') profiles,"
        " CASE WHEN sum(f.status = 'pass') THEN 'pass' WHEN sum(f.status = 'fail') THEN 'fail'"
        " ELSE 'unverified' END status,"
        " CASE WHEN count(f.cost + f.judging) = count(*) THEN sum(f.cost + f.judging) END cost_usd,"
        " sum(f.duration) duration_s"
        " FROM figures f LEFT JOIN tasks t ON t.id = f.task GROUP BY f.task",
        {
            "run": ("text", "its id"),
            "started": ("text", "UTC, YYYY-MM-DD HH:MM:SS"),
            "prompt": ("text", "what was asked, secrets taken out"),
            **{name: FACTS[name] for name in ("dimension", "language", "repository")},
            "tries": ("integer", "attempts"),
            "profiles": ("text", "of the tries"),
            "status": ("text", "pass when a try passed, else fail when one failed"),
            "cost_usd": ("real", f"of all tries and of judging them; {MONEY}"),
            "duration_s": ("real", "seconds of all tries"),
        },
    ),
    "win_rates": View(
        "one row per model and kind of request",
        "SELECT model, dimension, sum(n) attempts, sum(wins) wins, sum(losses) losses,"
        " sum(n - wins - losses) unverified,"
        " 1.0 * sum(wins) / nullif(sum(wins + losses), 0) win_rate,"
        " CASE WHEN sum(cost_n) THEN sum(cost) END cost_usd, sum(cost_n) cost_known"
        " FROM statistics GROUP BY model, dimension",
        {
            "model": ("text", "the model that answered"),
            "dimension": FACTS["dimension"],
            "attempts": ("integer", "all of them"),
            "wins": ("integer", "verified and passed"),
            "losses": ("integer", "verified and failed"),
            "unverified": ("integer", "neither"),
            "win_rate": ("real", "wins / (wins + losses)"),
            "cost_usd": ("real", "of the attempts whose cost is known, judging not included"),
            "cost_known": ("integer", "how many those are"),
        },
    ),
    "spend_by_day": View(
        "one row per day and model, in local time",
        "SELECT date(started, 'unixepoch', 'localtime') day, model, count(*) attempts,"
        " sum(cost + judging) cost_usd, count(*) - count(cost + judging) cost_unknown"
        " FROM figures GROUP BY 1, 2",
        {
            "day": ("text", "YYYY-MM-DD"),
            "model": ("text", "the model that answered"),
            "attempts": ("integer", "all of them"),
            "cost_usd": ("real", "of the attempts whose cost is known, judging included"),
            "cost_unknown": ("integer", "attempts of unknown cost"),
        },
    ),
}
