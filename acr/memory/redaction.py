"""Takes secrets out of text before anything is stored.

Secrets are found by shape (keys that carry their issuer's prefix) and by place (headers, URLs,
netrc lines, command-line options, and names such as password or token). The text may be JSON,
even twice encoded: quotes, line ends and tabs may be escaped. No well-kept library fits:
detect-secrets 1.5 reads 0.04 MB/s and reports lines, not places.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import Any

__all__ = ["SHAPES", "redact"]

SHAPES: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("aws key", ("AKIA", "ASIA", "ABIA", "ACCA"), r"[A-Z0-9]{16}\b"),
    ("github token", ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), r"[A-Za-z0-9]{36,255}"),
    ("github token", ("github_pat_",), r"[A-Za-z0-9_]{22,255}"),
    ("gitlab token", ("glpat-", "gldt-", "glrt-", "glcbt-", "glptt-"), r"[\w.-]{20,300}"),
    ("anthropic key", ("sk-ant-",), r"[\w-]{16,250}"),
    ("openai key", ("sk-proj-", "sk-svcacct-", "sk-admin-", "sk-or-v1-"), r"[\w-]{20,250}"),
    ("api key", ("sk-",), r"(?=[a-z-]{0,60}[A-Z0-9])[\w-]{20,250}"),
    ("google key", ("AIza",), r"[\w-]{35}"),
    ("google token", ("ya29.", "GOCSPX-"), r"[\w-]{20,400}"),
    (
        "slack token",
        ("xoxa-", "xoxb-", "xoxe-", "xoxe.", "xoxo-", "xoxp-", "xoxr-", "xoxs-", "xapp-"),
        r"[\w.-]{10,250}",
    ),
    ("slack webhook", ("hooks.slack.com/services/",), r"[\w/-]{20,120}"),
    ("discord webhook", ("discord.com/api/webhooks/",), r"\d{15,22}/[\w-]{30,120}"),
    ("stripe key", ("sk_live_", "sk_test_", "rk_live_", "rk_test_", "whsec_"), r"\w{16,250}"),
    ("npm token", ("npm_",), r"[A-Za-z0-9]{36}\b"),
    ("pypi token", ("pypi-",), r"[\w-]{50,300}"),
    ("huggingface token", ("hf_",), r"[A-Za-z0-9]{30,60}\b"),
    ("docker token", ("dckr_pat_", "dckr_oat_"), r"[\w-]{20,100}"),
    ("digitalocean token", ("dop_v1_", "doo_v1_", "dor_v1_"), r"[a-f0-9]{64}"),
    ("sendgrid key", ("SG.",), r"[\w-]{16,32}\.[\w-]{16,64}"),
    ("shopify token", ("shpat_", "shpca_", "shppa_", "shpss_"), r"[a-fA-F0-9]{32}"),
    ("vault token", ("hvs.", "hvb."), r"[\w-]{24,300}"),
    ("model key", ("xai-", "gsk_", "nvapi-", "pplx-", "r8_", "tvly-"), r"[\w-]{30,200}"),
    ("grafana token", ("glsa_", "glc_"), r"[\w+/=-]{32,250}"),
    ("databricks token", ("dapi",), r"[a-f0-9]{32}\b"),
    ("linear key", ("lin_api_",), r"\w{32,64}"),
    ("atlassian token", ("ATATT3", "ATCTT3"), r"[\w=-]{60,250}"),
    ("azure key", ("AccountKey=", "SharedAccessKey="), r"[A-Za-z0-9+/]{40,90}={0,2}"),
    ("age key", ("AGE-SECRET-KEY-1",), r"[A-Z0-9]{58}"),
    ("jwt", ("eyJ",), r"[\w-]{8,4000}+\.eyJ[\w-]{8,8000}+\.[\w-]{8,1000}"),
)
"""(kind, what it begins with, the rest as a pattern) of keys that are known by their shape."""
# A letter before a key is part of an escape such as \n when a backslash stands before it.
_START = r"(?:(?<![A-Za-z0-9_])|(?<=\\[nrtbf])|(?<=\\u[0-9a-fA-F]{4}))"
_SHAPES = tuple(
    (kind, begins, re.compile(f"{_START}(?:{'|'.join(map(re.escape, begins))}){rest}", re.ASCII))
    for kind, begins, rest in SHAPES
)
_GAP = r"(?:\s|\\{1,4}[nrt])"
_QUOTE = r"[\\\"'`]"
_KEY_BLOCK = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}?PRIVATE KEY(?: BLOCK)?-----"
    r"(?:(?:[^-_{}\[\];<>]|-(?!----)){0,20000}+-----END [A-Z0-9 ]{0,40}KEY(?: BLOCK)?-----"
    rf"|(?:(?:{_GAP}|{_QUOTE}|,){{0,40}}+[A-Za-z0-9+/=]{{40,200}}+)+)"
)
_URL = re.compile(rf"(://[^\s/:@{_QUOTE[1:-1]}]{{0,200}}+:)([^\s/@{_QUOTE[1:-1]}]{{3,500}}+)(?=@)")
_URL_TOKEN = re.compile(r"(://)([\w.-]{20,500}+)(?=@)")
_NETRC = re.compile(
    rf"({_START}(?:machine{_GAP}{{1,20}}+[^\s\\]{{1,253}}+|default){_GAP}{{1,20}}+login{_GAP}{{1,20}}+"
    rf"[^\s\\]{{1,200}}+{_GAP}{{1,20}}+password{_GAP}{{1,20}}+)([^\s\\\"'\[]{{1,500}}+)"
)
_HEADER = re.compile(
    rf"(?i){_START}((?:proxy-)?authorization|x-(?:api|auth|access)-?(?:key|token)|(?:set-)?cookie)"
    rf"({_QUOTE}{{0,4}}+[ \t]{{0,4}}+[:=][ \t]{{0,4}}+{_QUOTE}{{0,4}}+)"
    r"((?:bearer|basic|token|digest|apikey)\s{1,4}+)?([^\r\n\"'`\\,{}<>$\[\]]{6,4000}+)"
)
_BEARER = re.compile(rf"(?i){_START}(bearer\s{{1,4}}+)([A-Za-z0-9._~+/-]{{16,4000}}+=*)")
_OPTION = re.compile(
    r"((?:^|(?<=[\s\"'`])|(?<=\\[nrt]))--?[a-z-]{0,40}?(?:password|passwd|token|secret|api-?key)"
    r"[\"',]{0,3}+\s{1,4}+[\"'\\]{0,3}+)([^\s\"'`\\,;|&<>()\[\]{}$]{6,500}+)"
)
_USER = re.compile(
    r"((?:^|(?<=[\s\"'`])|(?<=\\[nrt]))(?:-u|--user)[\s=\"'\\]{1,4}+[\w.@+-]{1,100}+:)([^\s\"'`\\$]{3,500}+)"
)
_NAMED = re.compile(
    rf"(?i)(passw(?:or)?d|passphrase|pass(?=[\"'\s]{{0,3}}[:=])|pwd|secret|token|api[_-]?key|"
    rf"(?:access|private|auth|account|encryption|signing|master|service)[_-]?key|credentials?)"
    rf"([A-Za-z0-9_-]{{0,40}}+)({_QUOTE}{{0,8}}+[\])]?)([ \t]{{0,8}}+)(:=|=>|[:=])([ \t]{{0,8}}+)"
    rf"({_QUOTE}{{0,8}}+)([^\s\"'`\\,;(){{}}\[\]<>|&]{{4,1000}}+)(?=(.?))"
)
_NAME_BEFORE = re.compile(r"(?:\\[nrt])?(\w*)\Z")
_DESCRIBES = re.compile(
    r"(?i)(type|ur[li]|endpoint|name|id|ids|len|length|count|limit|path|file|dir|field|input|"
    r"label|hint|regex|pattern|format|min|max|size|rounds|budget|usage|env|var|vars|index|pos|"
    r"class|store|manager|provider|expir\w*|ttl|at|header|prefix|suffix|kind|policy|reset|list)s?$"
)
"""Ends of names that tell about a secret instead of holding it: token_url, password_length."""
_STAND_IN = re.compile(
    r"(?i)\A(?:[$%].+|[x*.•-]+|none|null|true|false|undefined|nil|todo|password|secret|token)\Z"
    r"|your\b|your[_-]|changeme|example|placeholder|redacted|dummy|secret_here|xxxx"
)
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*(?:(?:\.|::|->)[A-Za-z_]\w*)*[?!]?")


def redact(text: str) -> str:
    """`text` with every secret replaced by `[redacted KIND]`; the rest stays as it is.

    Takes time in proportion to the length of `text`. Redacting twice changes nothing more.
    """
    while (less := _redacted(text)) != text:  # what stood beside a secret may be one by itself
        text = less
    return text


def _redacted(text: str) -> str:
    if len(text) < 8:
        return text
    if "PRIVATE KEY" in text:
        text = _KEY_BLOCK.sub("[redacted private key]", text)
    for kind, begins, pattern in _SHAPES:
        if any(begin in text for begin in begins):
            text = pattern.sub(f"[redacted {kind}]", text)
    lower = text.lower()
    for needed, pattern, replaced in _PLACES:
        if any(word in lower for word in needed):
            text = pattern.sub(replaced, text)
    return text


def _keep_name(match: re.Match[str]) -> str:
    if _STAND_IN.search(match[2]) or match[2][0] in "{[<":
        return match[0]
    return f"{match[1]}[redacted password]"


def _bearer(match: re.Match[str]) -> str:
    return f"{match[1]}[redacted token]" if _is_mixed(match[2]) else match[0]


def _option(match: re.Match[str]) -> str:
    if _STAND_IN.search(match[2]) or match[2].isupper() or match[2][0] in "-/.":
        return match[0]
    return f"{match[1]}[redacted secret]" if _is_mixed(match[2]) else match[0]


def _header(match: re.Match[str]) -> str:
    name, between, scheme, value = match[1], match[2], match[3] or "", match[4]
    if _IDENTIFIER.fullmatch(value.strip()) and not _is_mixed(value) and not scheme:
        return match[0]
    if not _is_mixed(value) or "(" in value:
        return match[0]
    return f"{name}{between}{scheme}[redacted header]"


def _named(match: re.Match[str]) -> str:
    word, rest, _, before, sign, after, quote, value, following = match.groups()
    if _DESCRIBES.search(rest) or _STAND_IN.search(value):
        return match[0]
    start = match.string[max(0, match.start() - 40) : match.start()]
    name = _NAME_BEFORE.findall(start)[0] + word + rest
    exported = name.isupper() and sign == "=" and not before and not after
    is_password = word.lower().startswith("pass") or word.lower() == "pwd"
    if quote:
        found = _is_quoted_secret(value, is_password or exported)
    elif exported:
        found = not value.isdigit() or is_password
    else:
        found = _is_bare_secret(value, following, spaced=bool(before) and sign == "=")
    if not found:
        return match[0]
    return match[0][: match.start(8) - match.start()] + "[redacted secret]"


def _is_quoted_secret(value: str, likely: bool) -> bool:
    if value[0] in "/.#@%" or "://" in value or value.isdigit():
        return False
    if likely:
        return len(value) >= 6 and (_is_mixed(value) or _entropy(value) >= 3.0)
    return len(value) >= 8 and _is_mixed(value) and _entropy(value) >= 2.5


def _is_bare_secret(value: str, following: str, *, spaced: bool) -> bool:
    """Whether an unquoted value is data: code has names, calls, attributes and numbers there."""
    if following in ("(", "[", "{") or value[0] in "/.*&" or "://" in value:
        return False
    if _IDENTIFIER.fullmatch(value) and (spaced or "_" in value or "." in value):
        return len(value) >= 20 and sum(c.isdigit() for c in value) >= 4
    return len(value) >= 6 and _is_mixed(value) and _entropy(value) >= 2.5


def _is_mixed(value: str) -> bool:
    """Whether there are letters, and digits or signs that names do not have."""
    return bool(re.search(r"[A-Za-z]", value) and re.search(r"[0-9!#$%^&*+/=?~@]", value))


def _entropy(value: str) -> float:
    """Bits per character."""
    counts = Counter(value)
    return -sum(n / len(value) * math.log2(n / len(value)) for n in counts.values())


_PLACES: tuple[tuple[tuple[str, ...], re.Pattern[str], Any], ...] = (
    (("://",), _URL, _keep_name),
    (("://",), _URL_TOKEN, r"\1[redacted token]"),
    (("-u", "--user"), _USER, _keep_name),
    (("password",), _NETRC, r"\1[redacted password]"),
    (("-",), _OPTION, _option),
    (("pass", "pwd", "secret", "token", "key", "credential"), _NAMED, _named),
    (("authorization", "cookie", "x-a"), _HEADER, _header),
    (("bearer",), _BEARER, _bearer),
)
"""(words that must occur, pattern, replacement), in the order in which they are applied."""
