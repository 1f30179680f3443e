"""sqlite-vec works on every Python, and errors are sentences."""

from __future__ import annotations

import importlib.util
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from acr.errors import MemoryFileError
from acr.memory import driver

PROBE = """
import sys
from acr.memory import driver
name = sys.argv[1]
found = driver.ROUTES[name]()
if found is None:
    raise SystemExit("closed")
module, prepare = found
db = module.connect(":memory:")
prepare(db)
db.execute("CREATE VIRTUAL TABLE v USING vec0(embedding int8[4])")
db.execute("INSERT INTO v (embedding) VALUES (vec_int8(x'01020304'))")
heavy = {"numpy", "sqlite_utils", "sqlite_vec"} & set(sys.modules)
print(db.execute("SELECT count(*) FROM v").fetchone()[0], sorted(heavy))
"""


def pythons() -> list[str]:
    """This Python, and the system's where it can import the same compiled packages."""
    system = Path("/usr/bin/python3")
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    found = [sys.executable]
    if system.exists() and system.resolve().name == f"python{version}":
        found.append(str(system))
    return found


def packages() -> str:
    """The folders in which this Python found acr and sqlite_vec."""
    names = ("acr", "sqlite_vec", "pysqlite3")
    origins = [importlib.util.find_spec(name) for name in names]
    return os.pathsep.join(str(Path(str(s.origin)).parent.parent) for s in origins if s)


@pytest.mark.parametrize("python", pythons())
@pytest.mark.parametrize("route", driver.ROUTES)
def test_each_open_route_makes_vector_tables(python: str, route: str) -> None:
    done = subprocess.run(
        [python, "-c", PROBE, route],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": packages()},
    )
    if done.stderr.strip() == "closed":
        pytest.skip(f"{route} is closed on {python}")
    assert done.stdout == "1 []\n", done.stderr


def test_the_route_is_named() -> None:
    assert driver.how().split(",")[0] in driver.ROUTES


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (sqlite3.OperationalError("database is locked"), "try again"),
        (sqlite3.DatabaseError("file is not a database"), "left as it is"),
        (sqlite3.DatabaseError("database disk image is malformed"), "acr memory import"),
        (sqlite3.OperationalError("attempt to write a readonly database"), "writable"),
        (sqlite3.OperationalError("database or disk is full"), "free some disk space"),
        (PermissionError(13, "Permission denied", "/x/memory.db"), "ACR_HOME"),
        (sqlite3.OperationalError("something else"), "acr memory check"),
    ],
)
def test_errors_become_one_sentence_with_advice(error: Exception, advice: str) -> None:
    with pytest.raises(MemoryFileError, match=advice) as caught, driver.speaking(Path("/x")):
        raise error
    assert "/x" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_bug_is_not_dressed_up() -> None:
    with pytest.raises(ZeroDivisionError), driver.speaking(Path("/x")):
        raise ZeroDivisionError


def test_begin_gives_up_after_the_wait(tmp_path: Path) -> None:
    one, other = driver.connect(tmp_path / "x.db"), driver.connect(tmp_path / "x.db")
    driver.begin(one)
    with pytest.raises(MemoryFileError, match="locked"), driver.speaking(tmp_path):
        driver.begin(other, wait=0.05)
    one.execute("ROLLBACK")
    driver.begin(other, wait=0.05)
    assert other.in_transaction
