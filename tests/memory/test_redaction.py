"""Secrets go, code stays, and time is in proportion to the length."""

from __future__ import annotations

import argparse
import email.message
import http.client
import inspect
import json
import secrets
import smtplib
import ssl
import time
import tokenize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acr.memory.redaction import redact

KEY = "\n".join(["-----BEGIN RSA PRIVATE KEY-----", *["MIIEow" + "aB3/" * 14] * 9, "aB3=="])
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N"
SHAPED = {
    "aws": "AKIA" + "ABCDEFGHIJKLMNOP",
    "github": "ghp_" + "a1B2" * 9,
    "github fine": "github_pat_" + "11ABCDEFG0" * 4,
    "gitlab": "glpat-" + "a1B2c3D4e5F6g7H8i9J0",
    "anthropic": "sk-ant-api03-" + "aB3" * 20,
    "openai": "sk-proj-" + "aB3d" * 10,
    "openai old": "sk-" + "a1B2c3D4" * 6,
    "openrouter": "sk-or-v1-" + "0f" * 32,
    "google": "AIza" + "a1B2c" * 7,
    "google oauth": "ya29." + "a0AfH6SMB-" * 4,
    "slack": "xoxb-1234567890-" + "abcDEF123",
    "slack hook": "hooks.slack.com/services/" + "T000/B000/XXXXabcd1234",
    "stripe": "sk_live_" + "a1B2c3D4" * 3,
    "npm": "npm_" + "a1B2" * 9,
    "pypi": "pypi-" + "AgEIcHlwaS5vcmc" * 5,
    "huggingface": "hf_" + "aBcD1234" * 4,
    "docker": "dckr_pat_" + "aBcD1234" * 3,
    "sendgrid": "SG." + "aBcD1234" * 2 + "." + "aBcD1234" * 5,
    "vault": "hvs." + "aBcD1234" * 4,
    "xai": "xai-" + "aBcD1234" * 5,
    "jwt": JWT,
    "key": KEY + "\n-----END RSA PRIVATE KEY-----",
    "pgp": "-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: GnuPG v1\n\nlQOYBF\n=abcd\n"
    "-----END PGP PRIVATE KEY BLOCK-----",
}
CONTEXTS = ("{}", "use {} please", "key={}", "x: '{}'", "export A={}\n", "\n{}\n", "({})", "<{}>")

NAMED = [
    ("postgres://me:hunter22@db/app", "hunter22"),
    ("https://ghx1234567890abcdefgh1234@github.com/o/r", "ghx1234567890abcdefgh1234"),
    ("curl -u admin:hunter22 http://h", "hunter22"),
    ("Authorization: Bearer abc123def456ghi789", "abc123def456ghi789"),
    ("authorization: Basic dXNlcjpodW50ZXIyMg==", "dXNlcjpodW50ZXIyMg"),
    ("-H 'X-Api-Key: 0a1b2c3d4e5f'", "0a1b2c3d4e5f"),
    ("Cookie: session=8f7a6b5c4d3e2f1a; theme=dark", "8f7a6b5c4d3e2f1a"),
    ("DB_PASSWORD=x9!kQ2#vLm", "x9!kQ2#vLm"),
    ("export PGPASSWORD=swordfish", "swordfish"),
    ("API_TOKEN=abcdefghijklmnop", "abcdefghijklmnop"),
    ('"api_key": "9f8e7d6c5b4a39281706"', "9f8e7d6c5b4a39281706"),
    ('client_secret = "Zx81Qp77Lm20"', "Zx81Qp77Lm20"),
    ("my_secret_token: 'Zx81Qp77Lm20'", "Zx81Qp77Lm20"),
    ("password: hunter22", "hunter22"),
    ("password=hunter2 host=db", "hunter2"),
    ("password = 'correcthorsebattery'", "correcthorsebattery"),
    ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYzEXAMPLKEY", "wJalrXUtnFEMI"),
    ("?access_token=a1b2c3d4e5f6a7b8&x=1", "a1b2c3d4e5f6a7b8"),
    ("mysql --password hunter22x db", "hunter22x"),
    ("deploy --api-key=0a1b2c3d4e5f6071", "0a1b2c3d4e5f6071"),
    ("machine h login me password s3cr3t!", "s3cr3t!"),
    ("machine h\n  login me\n  password s3cr3t!", "s3cr3t!"),
]
ORDINARY = [
    "commit 9fceb02d0ae598e95dc970b74767f19372d61af8",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "id = '123e4567-e89b-12d3-a456-426614174000'",
    "def reset_password(user: User, token: str) -> None:",
    "password = get_password()",
    "token = self.lexer.next_token",
    "token = parse_token2(text)",
    "secret: str | None = None",
    "secrets.token_hex(16)",
    "token_url = 'https://example.com/oauth2/token'",
    "password_min_length = 12",
    "max_tokens=4096, total_tokens: 128000",
    "API_KEY=$API_KEY",
    "API_KEY=${API_KEY:-none}",
    'api_key = os.environ["OPENAI_API_KEY"]',
    "password: <your password>",
    'headers["Authorization"] = f"Bearer {token}"',
    "https://example.com/a/b?c=d",
    "https://user@example.com/a",
    "assert tokens == ['a', 'b']",
    "git@github.com:me/repo.git",
    "fix the login page: the password field loses focus",
    "class='sk-loading-indicator-container-small'",
    'if line == "-----BEGIN RSA PRIVATE KEY-----":\n    return parse(lines)',
    "key=lambda item: item.token",
]


@pytest.mark.parametrize("secret", SHAPED.values(), ids=SHAPED)
@pytest.mark.parametrize("context", CONTEXTS)
def test_secrets_of_a_known_shape_go(secret: str, context: str) -> None:
    assert secret not in redact(context.format(secret))


@pytest.mark.parametrize("secret", SHAPED.values(), ids=SHAPED)
def test_no_line_of_a_secret_stays(secret: str) -> None:
    left = redact(f"before\n{secret}\nafter")
    assert not any(line in left for line in secret.split())
    assert left.startswith("before\n")
    assert left.endswith("\nafter")


def test_a_private_key_that_is_cut_off_goes() -> None:
    left = redact(f"{KEY[:400]}\nthen some words of a log, which stay")
    assert "MIIEow" not in left
    assert "then some words of a log, which stay" in left


@pytest.mark.parametrize(("text", "secret"), NAMED)
def test_secrets_with_a_name_or_a_place_go(text: str, secret: str) -> None:
    assert secret not in redact(text)


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize(("text", "secret"), [*NAMED, *((s, s) for s in SHAPED.values())])
def test_secrets_in_json_go_and_it_stays_json(text: str, secret: str, times: int) -> None:
    line = f"first line\n{text}\nlast line"
    for _ in range(times):
        line = json.dumps({"output": line, "n": [1, None]})
    left = redact(line)
    assert not any(part in left for part in secret.split() if len(part) > 5)
    data = json.loads(left)
    assert data["n"] == [1, None]
    assert "last line" in left


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_code_stays(text: str) -> None:
    assert redact(text) == text
    assert redact(json.dumps(text)) == json.dumps(text)


@pytest.mark.parametrize(
    "module",
    [argparse, email.message, http.client, json, secrets, smtplib, ssl, tokenize],
)
def test_the_standard_library_stays(module: object) -> None:
    source = inspect.getsource(module)  # type: ignore[arg-type]
    assert redact(source) == source


FRAGMENTS = st.sampled_from([*SHAPED.values(), *(text for text, _ in NAMED), *ORDINARY])


BETWEEN = st.sampled_from(["", " ", "\n", "=", '"', "\\n"])


def test_a_key_right_behind_another_is_one_too() -> None:
    joined = "AIza" + "a1B2c" * 7 + "AKIAABCDEFGHIJKLMNOP"
    assert redact(joined) == "[redacted google key][redacted aws key]"


@given(st.lists(FRAGMENTS | st.text(), max_size=6), BETWEEN)
def test_redacting_twice_changes_nothing_more(parts: list[str], between: str) -> None:
    once = redact(between.join(parts))
    assert redact(once) == once


@given(st.text(st.sampled_from("aB3 \n\t:=@/\\\"'-_.<>[]"), max_size=300))
def test_any_text_is_taken(text: str) -> None:
    assert redact(redact(text)) == redact(text)


@pytest.mark.parametrize(
    "unit",
    [
        "a",
        " ",
        "token=",
        "password: ",
        "password",
        "-----BEGIN A PRIVATE KEY-----",
        "-----BEGIN A PRIVATE KEY-----" + "A" * 64 + "\n",
        "a:b@",
        "://a:bbb@",
        "eyJ.",
        "eyJaaaaaaaaa.eyJaaaaaaaaa.",
        "machine x login y ",
        "authorization: a",
        "--a-token",
        'secret:"""',
        "\\",
    ],
)
def test_a_megabyte_takes_about_a_second(unit: str) -> None:
    text = unit * (1_000_000 // len(unit))
    start = time.process_time()
    redact(text)
    assert time.process_time() - start < 5  # 0.7 s at most on an idle machine
