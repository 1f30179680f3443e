"""Secrets go, code stays."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acr.memory.redaction import redact

SECRETS = {
    "aws": "AKIA" + "ABCDEFGHIJKLMNOP",
    "github": "ghp_" + "a1B2" * 9,
    "gitlab": "glpat-" + "a1B2c3D4e5F6g7H8i9J0",
    "anthropic": "sk-ant-api03-" + "aB3" * 20,
    "openai": "sk-proj-" + "aB3d" * 10,
    "google": "AIza" + "a1B2c" * 7,
    "slack": "xoxb-1234567890-" + "abcDEF123",
    "stripe": "sk_live_" + "a1B2c3D4" * 3,
    "npm": "npm_" + "a1B2" * 9,
    "pypi": "pypi-" + "AgEIcHlwaS5vcmc" * 5,
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0." + "dozjgNryP4J3jVmNHl0w5N",
    "key": "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nabc\n-----END RSA PRIVATE KEY-----",
}
CONTEXTS = ("{}", "use {} please", "key={}", '{{"token": "{}"}}', "export A={}\n", "\n{}\n")


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
@pytest.mark.parametrize("context", CONTEXTS)
def test_secrets_of_a_known_shape_go(secret: str, context: str) -> None:
    assert secret not in redact(context.format(secret))


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("postgres://me:hunter22@db/app", "hunter22"),
        ("Authorization: Bearer abc123def456ghi789", "abc123def456ghi789"),
        ("DB_PASSWORD=x9!kQ2#vLm", "x9!kQ2#vLm"),
        ('"api_key": "9f8e7d6c5b4a39281706"', "9f8e7d6c5b4a39281706"),
        ("machine h login me password s3cr3t!", "s3cr3t!"),
        ("my_secret_token: 'Zx81Qp77Lm20'", "Zx81Qp77Lm20"),
    ],
)
def test_secrets_with_a_name_go(text: str, secret: str) -> None:
    assert secret not in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "commit 9fceb02d0ae598e95dc970b74767f19372d61af8",
        "id = '123e4567-e89b-12d3-a456-426614174000'",
        "def reset_password(user: User, token: str) -> None:",
        "password = get_password()",
        "token = self.lexer.next_token",
        "secret: str | None = None",
        "https://example.com/a/b?c=d",
        "assert tokens == ['a', 'b']",
        "max_tokens=4096,",
        "git@github.com:me/repo.git",
    ],
)
def test_ordinary_code_stays(text: str) -> None:
    assert redact(text) == text


@given(st.text() | st.sampled_from(list(SECRETS.values())).map(lambda s: f"token={s}"))
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    assert redact(redact(text)) == redact(text)


@pytest.mark.parametrize(
    "unit", ["a", "token=", "-----BEGIN A PRIVATE KEY-----", "a:b@", "eyJ.", " "]
)
def test_a_megabyte_takes_less_than_some_seconds(unit: str) -> None:
    start = time.monotonic()
    redact(unit * (1_000_000 // len(unit)))
    assert time.monotonic() - start < 10
