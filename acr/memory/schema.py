"""The steps that make the schema of memory.db; only ever appended to."""

from __future__ import annotations

from sqlite_utils import Database, Migrations

__all__ = ["steps"]

steps = Migrations("acr")


@steps()
def first_schema(db: Database) -> None:
    """Nouns as tables; `figures` outlives pruned attempts; `statistics` adds figures up."""
    sequence = "seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE"
    key = "profile TEXT, agent TEXT, model TEXT, dimension TEXT, repository TEXT"
    for statement in (
        f"CREATE TABLE tasks ({sequence}, created REAL, prompt TEXT, dimension TEXT,"
        " confidence REAL, runner_up TEXT, language TEXT, difficulty REAL, repository TEXT,"
        " root TEXT, embedder TEXT)",
        f"CREATE TABLE decisions ({sequence}, task TEXT NOT NULL, created REAL, chosen TEXT,"
        " candidates JSON, votes JSON, neighbours JSON, rules JSON, explored INTEGER,"
        " epsilon JSON, seed, snapshot TEXT, tried JSON, reason TEXT)",
        f"CREATE TABLE attempts ({sequence}, task TEXT NOT NULL, decision TEXT, profile TEXT,"
        " agent TEXT, model TEXT, status TEXT, started REAL, duration REAL, exit_code INTEGER,"
        " error TEXT, usage JSON, cost REAL, cost_source TEXT, session TEXT, transcript TEXT,"
        " message TEXT)",
        "CREATE TABLE verdicts (attempt TEXT PRIMARY KEY, status TEXT, score REAL, signals JSON,"
        " tests JSON, sandbox JSON, reason TEXT, findings TEXT, changed JSON, strength REAL,"
        " human TEXT)",
        "CREATE TABLE figures (seq INTEGER PRIMARY KEY AUTOINCREMENT, attempt TEXT NOT NULL"
        f" UNIQUE, task TEXT, {key}, started REAL, duration REAL,"
        " cost REAL, tokens INTEGER, status TEXT, score REAL, weight REAL)",
        f"CREATE TABLE statistics ({key}, n INTEGER, wins INTEGER, losses INTEGER, weight REAL,"
        " score REAL, cost REAL, cost_n INTEGER, tokens INTEGER, duration REAL, last REAL,"
        " PRIMARY KEY (profile, agent, model, dimension, repository)) WITHOUT ROWID",
        "CREATE TABLE embedders (number INTEGER PRIMARY KEY, id TEXT UNIQUE, dimensions INTEGER)",
        "CREATE TABLE changes (n INTEGER)",
        "INSERT INTO changes VALUES (0)",
        "CREATE INDEX tasks_repository ON tasks (repository)",
        "CREATE INDEX decisions_task ON decisions (task)",
        "CREATE INDEX attempts_task ON attempts (task)",
        "CREATE INDEX figures_task ON figures (task)",
        "CREATE INDEX figures_dimension ON figures (dimension, started)",
        "CREATE INDEX figures_repository ON figures (repository, started)",
        "CREATE VIEW outcomes AS SELECT a.seq, a.task, a.id attempt, t.prompt, t.dimension,"
        " t.language, t.repository, a.profile, a.model, a.status ran, v.status verdict, v.human,"
        " f.status, f.score, f.weight, a.cost, f.tokens, a.duration,"
        " datetime(a.started, 'unixepoch') started, v.reason"
        " FROM attempts a JOIN tasks t ON t.id = a.task JOIN verdicts v ON v.attempt = a.id"
        " JOIN figures f ON f.attempt = a.id",
    ):
        db.execute(statement)


@steps()
def handicaps(db: Database) -> None:
    """Tries that follow failed ones meet hard tasks: what that costs them is kept with them."""
    db.execute("ALTER TABLE figures ADD COLUMN handicap REAL NOT NULL DEFAULT 0")


@steps()
def totals_over_repositories(db: Database) -> None:
    """What every decision reads is kept added up; tasks are found by their kind; what a decision
    expected is kept with the outcome."""
    sums = (
        "sum(n) n, sum(wins) wins, sum(losses) losses, total(weight) weight, total(score) score,"
        " total(cost) cost, sum(cost_n) cost_n, sum(tokens) tokens, total(duration) duration,"
        " max(last) last"
    )
    for statement in (
        "CREATE TABLE totals (profile TEXT, agent TEXT, model TEXT, dimension TEXT, n INTEGER,"
        " wins INTEGER, losses INTEGER, weight REAL, score REAL, cost REAL, cost_n INTEGER,"
        " tokens INTEGER, duration REAL, last REAL,"
        " PRIMARY KEY (profile, agent, model, dimension)) WITHOUT ROWID",
        f"INSERT INTO totals SELECT profile, agent, model, dimension, {sums} FROM statistics"
        " GROUP BY 1, 2, 3, 4",
        "CREATE INDEX tasks_dimension ON tasks (dimension)",
        "ALTER TABLE figures ADD COLUMN expected REAL",
    ):
        db.execute(statement)
