"""config.toml is read strictly, and every mistake names its file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from acr import settings
from acr.errors import SettingsError
from acr.settings import Settings


def write(home: Path, text: str) -> Path:
    home.mkdir(parents=True, exist_ok=True)
    path = home / "config.toml"
    path.write_text(text)
    return path


def test_without_a_file_the_defaults_hold() -> None:
    assert settings.load() == Settings()


def test_values_of_the_file_replace_defaults(home: Path) -> None:
    write(
        home,
        '[pool]\nagents = ["codex"]\n[agents]\ntimeout = 60\n'
        '[[hooks.post_run]]\ncommand = ["lint"]\n[repositories."/a b"]\ntest = "make check"\n',
    )
    config = settings.load()
    assert config.pool.agents == ("codex",)
    assert config.agents.timeout == 60.0
    assert config.hooks.post_run[0].command == ("lint",)
    assert config.repositories["/a b"].test == "make check"


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("[pool]\nagent = []", 2, "did you mean agents?"),
        ("[pooll]\n", 1, "did you mean pool?"),
        ('[agents]\nautonomy = "yolo"', 2, "one of ask, edit, full"),
        ('\n[verifier]\nsandbox = "firejail"', 3, "one of auto, docker, bwrap, seatbelt, none"),
        ("[agents]\nmax_tries = 1.5", 2, "a whole number"),
        ("[agents]\ntimeout = true", 2, "a number"),
        ("[agents]\ntimeout = '9'", 2, "a number"),
        ("[pool]\nagents = 'codex'", 2, "a list"),
        ("pool = 3", 1, "a table"),
        ("[[hooks.post_run]]\ntimeout = 1", 1, "command is missing"),
        ("a = \n", 1, "line 1"),
        ("[agents]\nmax_tries = 0", 2, "at least 1"),
        ("[agents]\ntimeout = nan", 2, "at least 1"),
        ("[budget]\nper_run = -1", 2, "at least 0"),
        ("[budget]\nper_run = inf", 2, "at least 0"),
        ("[orchestrator]\nexploration = 1.5", 2, "at least 0 and at most 1"),
        ("[orchestrator]\nepsilon_cost = 0.1", 2, "at most 0"),
        ("[verifier.limits]\nwall = 0", 2, "at least 1"),
    ],
)
def test_a_mistake_names_file_line_and_what_was_expected(
    home: Path, text: str, line: int, says: str
) -> None:
    path = write(home, text)
    with pytest.raises(SettingsError) as caught:
        settings.load()
    assert str(path) in str(caught.value)
    assert f":{line}: " in str(caught.value) or f"line {line}" in str(caught.value)
    assert says in str(caught.value)
    assert path.read_text() == text


def test_text_that_is_not_utf8_is_said(home: Path) -> None:
    write(home, "").write_bytes(b"a = '\xff'")
    with pytest.raises(SettingsError, match="not UTF-8"):
        settings.load()


def test_every_setting_has_a_docstring() -> None:
    import ast
    import inspect

    tree = ast.parse(inspect.getsource(settings))
    classes = [n for n in tree.body if isinstance(n, ast.ClassDef) and n.name != "Settings"]
    for kind in classes:
        for field, after in zip(kind.body, [*kind.body[1:], None], strict=True):
            if isinstance(field, ast.AnnAssign):
                assert isinstance(after, ast.Expr), f"{kind.name}.{ast.unparse(field.target)}"
