"""What a person's next prompt says about the turn before it."""

from __future__ import annotations

import re
from dataclasses import replace

from acr.nouns import Signal, Verdict

__all__ = ["complains", "lowered"]

NAME = "follow-up"
LOOKED_AT = 400
"""Characters of a prompt; complaints come first."""
STEP = 0.2
"""What a complaint takes from the score."""
WEAK = 0.15
"""The strength of a failure that only a complaint tells of."""
COMPLAINTS = re.compile(
    r"\b(still|again|also)\s+(\w+\s+){0,2}(fail(s|ing|ed)?|broken|wrong|crash(es|ing|ed)?|errors?)\b"
    r"|\b(does(n.?t| not)|did(n.?t| not)|is(n.?t| not)|are(n.?t| not)|still not)\s+"
    r"(\w+\s+)?(work(s|ing)?|fix(ed)?|help|pass(es|ing)?|compil(e|es|ing)|right|correct)\b"
    r"|\b(that|this|it)('s| is| was| looks)\s+(\w+\s+)?(wrong|broken|not what i)\b"
    r"|\byou (broke|missed|forgot|removed)\b|\bnow (it|that|this|the \w+) (fails|crashes|breaks)\b"
    r"|\b(same|another|new) (error|failure|problem|exception)\b"
    r"|^\s*(no[,.! ]|nope|wrong|undo|revert|roll ?back)"
    r"|\b(geht|funktioniert) (immer noch |noch )?nicht\b|\bimmer noch (falsch|kaputt|fehler)"
    r"|\bsigue (fallando|sin funcionar)\b|\bno funciona\b"
    r"|\bne (marche|fonctionne) (toujours )?pas\b"
    r"|还是(不行|失败|报错)|не работает|всё ещё|まだ(動かない|失敗)",
    re.IGNORECASE,
)


def complains(prompt: str) -> bool:
    """Whether a prompt says that what came before it failed."""
    return COMPLAINTS.search(prompt[:LOOKED_AT]) is not None


def lowered(verdict: Verdict) -> Verdict:
    """The verdict after a complaint: a small step down, and half its strength.

    What was unverified becomes a failure of strength 0.15; a pass stays one, at a score 0.2 lower
    that counts half; a failure stays as it is.
    """
    said = Signal(NAME, 0.0, 0.0, "the next prompt of the session says that it failed")
    signals = (*verdict.signals, said)
    if verdict.status == "fail":
        return replace(verdict, signals=signals)
    if verdict.status == "unverified":
        reason = f"{said.detail}; {verdict.reason}" if verdict.reason else said.detail
        return replace(
            verdict, status="fail", score=0.3, strength=WEAK, signals=signals, reason=reason
        )
    score, strength = round(max(0.5, verdict.score - STEP), 4), verdict.strength / 2
    return replace(verdict, score=score, strength=strength, signals=signals)
