"""The steps that make the schema of memory.db; only ever appended to."""

from __future__ import annotations

from sqlite_utils import Database, Migrations

from acr.memory.views import VIEWS

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
def shares_of_kinds(db: Database) -> None:
    """Which kinds a request may be of: its evidence is mixed by them."""
    db.execute("ALTER TABLE tasks ADD COLUMN shares JSON NOT NULL DEFAULT '{}'")


@steps()
def sessions(db: Database) -> None:
    """Turns of sessions that acr did not start: each is counted once, even when it is forgotten."""
    db.execute(
        "CREATE TABLE turns (id TEXT PRIMARY KEY, agent TEXT, session TEXT, started REAL,"
        " attempt TEXT, followed INTEGER NOT NULL DEFAULT 0)"
    )
    db.execute("CREATE INDEX turns_session ON turns (agent, session, started)")


@steps()
def spending(db: Database) -> None:
    """What each call may cost and did cost; figures know what outlives a pruned attempt."""
    for column in ("language TEXT", "explored INTEGER", "judging REAL"):
        db.execute(f"ALTER TABLE figures ADD COLUMN {column}")
    for table in ("attempts", "figures"):
        db.execute(f"ALTER TABLE {table} ADD COLUMN plan INTEGER NOT NULL DEFAULT 0")
    db.execute("ALTER TABLE decisions ADD COLUMN budget TEXT NOT NULL DEFAULT ''")
    db.execute(
        "UPDATE figures SET language = (SELECT language FROM tasks WHERE id = task),"
        " explored = (SELECT d.explored FROM attempts a JOIN decisions d ON d.id = a.decision"
        " WHERE a.id = attempt),"
        " judging = (SELECT CASE WHEN total(json_type(s.value, '$.cost') = 'null') = 0"
        " THEN total(json_extract(s.value, '$.cost')) END"
        " FROM verdicts v, json_each(v.signals) s WHERE v.attempt = figures.attempt)"
    )
    db.execute(
        "CREATE TABLE spending (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,"
        " task TEXT, profile TEXT, repository TEXT, purpose TEXT, created REAL, reserved REAL,"
        " spent REAL, settled REAL, estimated INTEGER, plan INTEGER)"
    )
    db.execute("CREATE INDEX spending_created ON spending (created)")


@steps()
def views(db: Database) -> None:
    """What people ask of their outcomes; when VIEWS changes, a later step makes them anew."""
    for name, view in VIEWS.items():
        db.execute(f"DROP VIEW IF EXISTS {name}")
        db.execute(f"CREATE VIEW {name} AS {view.select}")
    db.execute("CREATE INDEX figures_started ON figures (started)")


@steps()
def model_calls(db: Database) -> None:
    """Single calls of attempts that ran through the gateway; they go with their attempt."""
    for statement in (
        "CREATE TABLE steps (attempt TEXT NOT NULL, n INTEGER NOT NULL, session TEXT, kind TEXT,"
        " tier TEXT, asked TEXT, answered TEXT, status INTEGER, usage JSON, tokens INTEGER,"
        " cost REAL, reason TEXT, started REAL, seconds REAL, PRIMARY KEY (attempt, n))",
        "CREATE TRIGGER steps_go AFTER DELETE ON attempts BEGIN"
        " DELETE FROM steps WHERE attempt = OLD.id; END",
    ):
        db.execute(statement)


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
