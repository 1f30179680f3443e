"""Upgrades happen once, after a backup, whole or not at all; what is newer is left alone."""

from __future__ import annotations

import multiprocessing
import sqlite3
import subprocess
import sys
import threading
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from sqlite_utils import Database, Migrations

from acr.errors import MemoryFileError
from acr.memory import driver, migrations
from acr.memory.migrations import VERSION, migrate
from acr.memory.schema import first_schema, handicaps, steps, totals_over_repositories
from acr.memory.store import Memory
from tests.memory.makers import outcome, task

SHIPPED = (first_schema, handicaps, totals_over_repositories)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "memory.db"


def later(*more: str, breaks: bool = False) -> Migrations:
    """The shipped steps and one that runs the statements of `more`."""
    made = Migrations("acr")
    for step in SHIPPED:
        made(name=step.__name__)(step)

    @made()
    def second_step(db: Database) -> None:
        for statement in more:
            db.execute(statement)
        if breaks:
            raise sqlite3.OperationalError("a step that breaks")

    return made


def test_the_version_is_the_number_of_steps(path: Path) -> None:
    with Memory.open(path) as memory:
        assert len(steps.applied(Database(memory.db))) == VERSION
        assert memory.db.execute("PRAGMA user_version").fetchone()[0] == VERSION


def test_an_older_file_is_backed_up_and_upgraded(path: Path) -> None:
    with Memory.open(path) as memory:
        memory.add_outcome(outcome(task("t1")))
        migrate(memory.db, path, VERSION + 1, lambda: later("ALTER TABLE tasks ADD COLUMN more"))
        assert memory.db.execute("SELECT more FROM tasks").fetchall()
        names = [row["name"] for row in memory.db.execute("SELECT name FROM _sqlite_migrations")]
        assert {*names} == {*(step.__name__ for step in SHIPPED), "second_step"}
    (backup,) = path.parent.glob(f"memory.db.schema-{VERSION}.*")
    assert backup.stat().st_mode & 0o077 == 0
    with Memory.open(backup) as older:
        assert older.outcomes("t1")
        assert older.check() == []


def test_a_step_that_breaks_leaves_the_older_file(path: Path) -> None:
    with Memory.open(path) as memory:
        memory.add_outcome(outcome(task("t1")))
        broken = later("DROP TABLE tasks", breaks=True)
        with pytest.raises(sqlite3.OperationalError, match="breaks"):
            migrate(memory.db, path, VERSION + 1, lambda: broken)
        assert not memory.db.in_transaction
        assert memory.outcomes("t1")
        assert memory.check() == []
    Memory.open(path).close()


@pytest.mark.parametrize("application", [migrations.APPLICATION, 0, 7])
def test_a_newer_or_foreign_file_is_refused_untouched(path: Path, application: int) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE theirs (a)")
        db.execute(f"PRAGMA application_id = {application}")
        db.execute(f"PRAGMA user_version = {VERSION + 1}")
    db.close()
    before, moment = path.read_bytes(), path.stat().st_mtime_ns
    is_ours = application == migrations.APPLICATION
    with pytest.raises(MemoryFileError, match="update acr" if is_ours else "another program"):
        Memory.open(path)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == (before, moment)
    assert [file.name for file in path.parent.iterdir()] == ["memory.db"]


def test_a_newer_schema_that_is_still_in_the_log_is_refused(path: Path) -> None:
    with Memory.open(path) as memory:
        memory.db.execute(f"PRAGMA user_version = {VERSION + 1}")
        with pytest.raises(MemoryFileError, match="update acr"):
            Memory.open(path)


def test_an_unmarked_database_with_tables_is_refused(path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE theirs (a)")
    db.close()
    with pytest.raises(MemoryFileError, match="another program"):
        Memory.open(path)


def test_an_empty_file_is_a_new_one(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    with Memory.open(path) as memory:
        assert memory.check() == []


def _open(path: str, start: Barrier) -> None:
    start.wait()
    with Memory.open(Path(path)) as memory:
        memory.add_task(task(multiprocessing.current_process().name))


def test_first_opens_at_the_same_moment_make_one_database(path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    start = spawn.Barrier(6)
    workers = [spawn.Process(target=_open, args=(str(path), start)) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 6
    with Memory.open(path) as memory:
        assert len(memory.tasks()) == 6
        assert memory.check() == []


def test_an_upgrade_waits_for_another_writer(path: Path) -> None:
    with Memory.open(path) as memory:
        other = driver.connect(path)
        driver.begin(other)
        timer = threading.Timer(0.2, lambda: other.execute("COMMIT"))
        timer.start()
        migrate(memory.db, path, VERSION + 1, lambda: later("CREATE TABLE more (a)"))
        timer.join()
        assert memory.db.execute("SELECT count(*) FROM more").fetchone()[0] == 0


def test_opening_a_current_file_imports_nothing_heavy(path: Path) -> None:
    Memory.open(path).close()
    code = (
        "import sys; from pathlib import Path; from acr.memory.store import Memory;"
        "Memory.open(Path(sys.argv[1])).close();"
        "print([m for m in ('sqlite_utils', 'numpy', 'sqlite_vec') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_figures_of_the_first_schema_count_as_before(path: Path) -> None:
    first = Migrations("acr")
    first(name="first_schema")(first_schema)
    path.parent.mkdir()
    db = driver.connect(path)
    migrate(db, path, 1, lambda: first)
    for statement in (
        "INSERT INTO figures (attempt, task, profile, agent, model, dimension, repository, started,"
        " duration, cost, tokens, status, score, weight)"
        " VALUES ('a1', 't1', 'p', 'codex', 'm', 'algorithm', 'r', 1, 2, 0.5, 10, 'pass', 0.75, 1)",
        "INSERT INTO statistics VALUES"
        " ('p', 'codex', 'm', 'algorithm', 'r', 1, 1, 0, 1, 0.75, 0.5, 1, 10, 2, 1)",
    ):
        db.execute(statement)
    db.close()
    with Memory.open(path) as memory:
        assert memory.check() == []
        (row,) = memory.totals()
        assert (row.n, row.score, row.repository) == (1, 0.75, "")
