"""Says in one line why an agent failed and what to do about it."""

from __future__ import annotations

import re

from acr.agents.records import shorten

__all__ = ["explain"]

STATUS = re.compile(
    r"(?:status|API Error|error|HTTP|\bcode)\W{0,3}(?:code\W{0,2})?(4\d\d|5\d\d)\b", re.I
)
LOGIN = re.compile(
    r"not logged in|log ?in|invalid api key|auth (?:type|method)|authenticat|unauthorized", re.I
)
MODEL = re.compile(r"model.{0,60}(not found|not exist|not supported|unknown|invalid)", re.I)


def explain(agent: str, message: str, *, model: str, login: str, status: int = 0) -> str:
    """One line: what happened and what to do.

    `status` is the HTTP status where the agent tells it; else it is looked for in `message`.
    `login` is the command that logs in.
    """
    said = shorten(message, 200)
    found = STATUS.search(message)
    status = status or (int(found[1]) if found else 0)
    if status == 429:
        return f"{agent}: too many requests or no quota left ({said}); try later"
    if status == 402:
        return f"{agent}: the account has no credit left ({said}); top it up"
    if status >= 500:
        return f"{agent}: the model's provider has trouble ({said}); try later"
    if status in {401, 403} or (not status and LOGIN.search(message)):
        return f"{agent} is not logged in, or its key is refused ({said}); run `{login}`"
    if status == 404 or MODEL.search(message):
        return f"{agent} cannot get the model {model} ({said}); choose another with --model"
    if status == 400:
        return f"{agent}: the provider refused the request ({said}); see the transcript"
    return f"{agent}: {said or 'it ended without saying why; see the transcript'}"
