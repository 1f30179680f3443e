"""Splices acr's block into a JavaScript file: between its first and its last line, nothing else."""

from __future__ import annotations

import json
import re
import shlex

from acr.installer.splice import Found, SpliceError

__all__ = ["js_hooks", "js_merged"]

_BLOCK = re.compile(r"^// acr-hook begin\b.*?^// acr-hook end\b[^\n]*(?:\n|\Z)", re.DOTALL | re.M)
_HOOK = re.compile(r"^const hook = (\[.*\])$", re.MULTILINE)


def js_hooks(text: str) -> list[Found]:
    """acr's blocks, each as one hook."""
    found = []
    for number, block in enumerate(_BLOCK.findall(text)):
        hook = _HOOK.search(block)
        command = shlex.join(json.loads(hook[1])) if hook else ""
        found.append(Found("plugin", number, 0, command, {}))
    return found


def js_merged(text: str, block: str) -> str:
    """`text` with `block` as the only block of acr's; an empty one cuts it out.

    Raises SpliceError when the file is somebody else's.
    """
    if not block:
        return _BLOCK.sub("", text)
    begin, found, rest = text, _BLOCK.search(text), ""
    if found:
        begin, rest = text[: found.start()], _BLOCK.sub("", text[found.end() :])
    elif text.strip():
        raise SpliceError("it is not acr's; move it away first", 1)
    return begin + block + rest
