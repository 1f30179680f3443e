"""Changes to agents' files: planned as bytes, shown as a diff, made in one step."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import json
import os
import re
import stat
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from acr.errors import AcrError
from acr.files import replace_file
from acr.installer import Place, command, state
from acr.installer.js_splice import js_hooks, js_merged
from acr.installer.json_splice import json_hooks, json_merged, json_settings
from acr.installer.splice import Found, Group, SpliceError
from acr.installer.toml_splice import toml_hooks, toml_merged

__all__ = ["Change", "apply", "data", "distrust", "hooks", "install", "read", "trust", "uninstall"]

_BOM = "\ufeff"


@dataclass(frozen=True, slots=True)
class Change:
    """What a file holds and what it shall hold; None is no file."""

    place: Place
    before: bytes | None
    after: bytes | None
    removes: bool = field(default=False, kw_only=True)
    """Whether this takes acr out."""
    what: str = field(default="hooks in", kw_only=True)
    """How it is said, before the file's name."""

    @property
    def diff(self) -> str:
        """The unified diff; empty when nothing changes."""
        path = str(self.place.path)
        old = path if self.before is not None else "/dev/null"
        new = path if self.after is not None else "/dev/null"
        lines = difflib.unified_diff(_lines(self.before), _lines(self.after), old, new)
        return "".join(
            line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
            for line in lines
        )


def _lines(content: bytes | None) -> list[str]:
    return re.findall(r"[^\n]*\n|[^\n]+", (content or b"").decode("utf-8", "surrogateescape"))


def read(place: Place) -> bytes | None:
    """What the file holds; None when it is missing. Raises AcrError when acr must keep off it."""
    path, target = place.path, Path(os.path.realpath(place.path))
    if place.root and not target.is_relative_to(os.path.realpath(place.root)):
        raise AcrError(f"{path} leads out of the repository, to {target}; acr does not follow it")
    try:
        about = target.stat()
        if not stat.S_ISREG(about.st_mode):
            raise AcrError(f"{path} is not a file; move it away")
        return target.read_bytes()
    except FileNotFoundError:
        if path.is_symlink():
            raise AcrError(f"{path} is a link to {target}, which is missing") from None
        return None


def _refuse_writing(path: Path) -> None:
    """Raises AcrError when the file is not to be replaced."""
    about = path.stat()
    if not about.st_mode & stat.S_IWUSR:
        raise AcrError(f"{path} is read-only; chmod u+w it if acr may change it")
    if about.st_nlink > 1:
        raise AcrError(f"{path} has a second name (a hard link), which acr would cut off")


def _text(place: Place, content: bytes | None) -> tuple[str, str]:
    """(byte order mark or nothing, text). Raises AcrError when the agent would not read it."""
    try:
        text = (content or b"").decode("utf-8")
    except UnicodeDecodeError as e:
        line = (content or b"")[: e.start].count(b"\n") + 1
        raise AcrError(f"{place.path}:{line}: not UTF-8 text; it is left as it is") from None
    if not text.startswith(_BOM):
        return "", text
    if not place.bom:
        raise AcrError(
            f"{place.path}:1: begins with a byte order mark, which {place.agent} refuses"
        )
    return _BOM, text[1:]


def _refusal(place: Place, error: SpliceError) -> AcrError:
    where = f"{place.path}:{error.line}" if error.line else str(place.path)
    return AcrError(f"{where}: {error}; it is left as it is")


def hooks(place: Place) -> list[Found]:
    """acr's hooks in the file. Raises AcrError when it cannot be read."""
    _, text = _text(place, read(place))
    try:
        if place.kind == "js":
            return js_hooks(text)
        if place.kind == "toml":
            return toml_hooks(text, command.is_ours)
        return json_hooks(text, command.is_ours, comments=place.kind == "jsonc")
    except SpliceError as e:
        raise _refusal(place, e) from None


def data(place: Place) -> Mapping[str, Any]:
    """The settings in the file. Raises AcrError when it cannot be read."""
    hooks(place)
    _, text = _text(place, read(place))
    if place.kind == "toml":
        return tomllib.loads(text)
    comments = place.kind == "jsonc"
    return {} if place.kind == "js" or not text.strip() else json_settings(text, comments=comments)


def _merged(
    place: Place,
    content: bytes | None,
    wanted: Mapping[str, Group],
    base: bytes | None = None,
    **trust: Any,
) -> bytes:
    """The content with `wanted` as acr's hooks. Raises AcrError, which names file and line."""
    bom, text = _text(place, content)
    was = None if base is None else base.decode("utf-8", "replace").removeprefix(_BOM)
    try:
        if place.kind == "js":
            after = js_merged(text, _plugin() if wanted else "")
        elif place.kind == "toml":
            after = toml_merged(text, wanted, command.is_ours, base=was, **trust)
        else:
            comments = place.kind == "jsonc"
            after = json_merged(text, wanted, command.is_ours, comments=comments, base=was)
    except SpliceError as e:
        raise _refusal(place, e) from None
    return (bom + after).encode()


def _plugin() -> str:
    from acr import settings

    template = (settings.shipped("hooks") / "opencode.js").read_text(encoding="utf-8")
    *argv, _, _ = command.argv("opencode", "EVENT")
    return re.sub(
        r"^const hook = .*$", lambda _: f"const hook = {json.dumps(argv)}", template, flags=re.M
    )


def install(place: Place) -> Change:
    """acr's hooks as they shall be."""
    before = read(place)
    return Change(place, before, _merged(place, before, command.wanted(place.agent)))


def trust(place: Place, hashes: Mapping[str, str]) -> Change:
    """trusted_hash of Codex's hooks, by their key; acr's hooks in the file stay as they are."""
    before = read(place)
    there = {found.event: found.value for found in hooks(place)}
    after = _merged(place, before, there, trust=hashes)
    return Change(place, before, after, what="trust in")


def distrust(place: Place, keys: Collection[str]) -> Change:
    """Trust for `keys` is cut out; acr's hooks in the file stay as they are."""
    before = read(place)
    there = {found.event: found.value for found in hooks(place)}
    after = before and _merged(place, before, there, distrust=keys)
    return Change(place, before, after, removes=state.get(place) is None, what="trust out of")


def uninstall(place: Place, keys: Collection[str] = ()) -> Change:
    """The bytes from before acr where nobody else changed the file; else without acr's hooks."""
    before = read(place)
    record = state.get(place)
    if before is None:
        return Change(place, None, None, removes=True, what="hooks out of")
    kept, linked = state.backup(place) if record else None, place.path.is_symlink()
    if record and record.exact and state.sha(before) == record.after:
        if record.before is None and not linked:
            return Change(place, before, None, removes=True, what="hooks out of")
        if kept is not None and state.sha(kept) == record.before:
            return Change(place, before, kept, removes=True, what="hooks out of")
    more = {"distrust": keys} if place.kind == "toml" else {}
    after = _merged(place, before, {}, kept, **more)
    made = place.kind == "js" or (record is not None and record.before is None)
    if made and after != before and not linked and after.strip() in (b"", b"{}"):
        return Change(place, before, None, removes=True, what="hooks out of")
    return Change(place, before, after, removes=True, what="hooks out of")


def apply(change: Change) -> bool:
    """Makes the change; whether there was one. Raises AcrError or OSError, the file as it was."""
    place, after = change.place, change.after
    if change.before is not None and change.before != after:
        _refuse_writing(place.path)
    if change.removes:
        _write(change)
        _tidy(place)
        return change.before != after
    assert after is not None
    record = state.get(place)
    if change.before == after and record:
        return False
    if change.before == after:  # acr's from before the records: what was there is not known
        now = state.sha(after)
        state.put(place, state.Record(place.agent, now, now, exact=False))
        return False
    state.put(place, _record(change, record))
    try:
        _write(change)
    except BaseException:  # what is recorded must be what lies there
        with contextlib.suppress(OSError):
            state.put(place, record)
        _tidy_folders(_missing(place.path))
        raise
    return True


def _record(change: Change, record: state.Record | None) -> state.Record:
    """The record of a change about to be made; the bytes from before are kept first."""
    place, before = change.place, change.before
    assert change.after is not None
    after, now = state.sha(change.after), None if before is None else state.sha(before)
    if record and now != record.before:
        exact = record.exact and now == record.after
        return dataclasses.replace(record, after=after, exact=exact)
    if before is not None:
        state.keep(place, before)
    ours = before is not None and bool(hooks(place))
    return state.Record(place.agent, now, after, not ours, _missing(place.path))


def _missing(path: Path) -> tuple[str, ...]:
    """Folders above `path` that are not there, outermost first."""
    return tuple(str(folder) for folder in reversed(path.parents) if not folder.exists())


def _write(change: Change) -> None:
    """Puts the bytes there. Raises AcrError when somebody has changed the file meanwhile."""
    path = change.place.path
    if read(change.place) != change.before:
        raise AcrError(f"{path} was changed by another program just now; try again")
    if change.after is None:
        path.unlink(missing_ok=True)
    elif change.after != change.before:
        replace_file(path, change.after)


def _tidy(place: Place) -> None:
    """Drops what acr knows of the file, and the folders that it made for it."""
    record = state.get(place)
    state.forget(place)
    if record and not place.path.exists():
        _tidy_folders(record.folders)


def _tidy_folders(folders: Collection[str]) -> None:
    with contextlib.suppress(OSError):  # not empty: somebody else's by now
        for folder in reversed(tuple(folders)):
            os.rmdir(folder)
