"""Takes secrets out of text before anything is stored."""

from __future__ import annotations

import math
import re
from collections import Counter

__all__ = ["PATTERNS", "redact"]

PATTERNS: tuple[tuple[str, str], ...] = (
    (
        "private key",
        r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----(?:[^-]|-(?!----)){0,20000}"
        r"(?:-----END [A-Z ]{0,30}KEY-----)?",
    ),
    ("aws key", r"\b(AKIA|ASIA)[A-Z0-9]{16}\b"),
    ("github token", r"\b(gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255})\b"),
    ("gitlab token", r"\bglpat-[A-Za-z0-9_-]{20,64}\b"),
    ("anthropic key", r"\bsk-ant-[A-Za-z0-9_-]{16,200}"),
    ("openai key", r"\bsk-(proj-|svcacct-|admin-)?[A-Za-z0-9_-]{20,200}"),
    ("google key", r"\bAIza[A-Za-z0-9_-]{35}\b"),
    ("slack token", r"\bxox[abeoprs]-[A-Za-z0-9-]{10,200}"),
    ("slack webhook", r"hooks\.slack\.com/services/[A-Za-z0-9/_-]{20,100}"),
    ("stripe key", r"\b[rs]k_(live|test)_[A-Za-z0-9]{16,200}\b"),
    ("npm token", r"\bnpm_[A-Za-z0-9]{36}\b"),
    ("pypi token", r"\bpypi-[A-Za-z0-9_-]{50,300}"),
    ("huggingface token", r"\bhf_[A-Za-z0-9]{30,60}\b"),
    ("jwt", r"\beyJ[A-Za-z0-9_-]{8,2000}\.eyJ[A-Za-z0-9_-]{8,4000}\.[A-Za-z0-9_-]{8,1000}"),
)
"""(kind, pattern) of secrets that are known by their shape."""
_SHAPES = tuple((kind, re.compile(pattern, re.S)) for kind, pattern in PATTERNS)
_HEADER = re.compile(
    r"(?i)(\b(?:authorization|x-api-key|cookie)\b[\"']?\s{0,4}[:=]\s{0,4}[\"']?)"
    r"((?:bearer|basic|token)\s+)?([^\s\"',;]{8,2000})"
)
_BEARER = re.compile(r"(?i)(\bbearer\s+)([A-Za-z0-9._~+/=-]{16,2000})")
_URL = re.compile(r"(\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@\"']{0,200}:)([^\s/@\"']{1,500})(@)")
_NETRC = re.compile(r"(?m)(\bmachine\s+\S{1,200}\s+login\s+\S{1,200}\s+password\s+)(\S{1,500})")
_NAMED = re.compile(
    r"(?i)(\b[A-Z0-9_.-]{0,60}(?:password|passwd|secret|api_?key|access_?key|private_?key|token)"
    r"[A-Z0-9_]{0,20}[\"']?\s{0,4}[:=]\s{0,4}[\"']?)([^\s\"',;(){}\[\]<>]{8,500})"
)
_ORDINARY = re.compile(r"[a-z_]+(\.[a-z_]+)*|\$.*|[A-Z_]+|\[redacted.*", re.S)
"""Values that name something instead of being it: identifiers, attributes, variables."""


def redact(text: str) -> str:
    """`text` with every secret replaced by `[redacted KIND]`; the rest stays as it is.

    Found are keys of a known shape, and values of headers, URLs, netrc lines and of names such
    as password, token or secret. Redacting twice changes nothing more.
    """
    for kind, pattern in _SHAPES:
        text = pattern.sub(f"[redacted {kind}]", text)
    text = _URL.sub(r"\1[redacted password]\3", text)
    text = _NETRC.sub(r"\1[redacted password]", text)
    text = _HEADER.sub(_header, text)
    text = _BEARER.sub(r"\1[redacted token]", text)
    return _NAMED.sub(_named, text)


def _header(match: re.Match[str]) -> str:
    kept, scheme, value = match.group(1), match.group(2) or "", match.group(3)
    if _ORDINARY.fullmatch(value) or value.startswith("[redacted"):
        return match.group(0)
    return f"{kept}{scheme}[redacted header]"


def _named(match: re.Match[str]) -> str:
    value = match.group(2)
    if _ORDINARY.fullmatch(value) or _entropy(value) < 2.5:
        return match.group(0)
    return f"{match.group(1)}[redacted secret]"


def _entropy(value: str) -> float:
    """Bits per character."""
    counts = Counter(value)
    return -sum(n / len(value) * math.log2(n / len(value)) for n in counts.values())
