"""Settings files as people have them, and what installing and uninstalling leaves of them.

`python -m tests.installer.corpus` counts the cases and the bytes that differ.
"""

from __future__ import annotations

import json
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from acr.errors import AcrError
from acr.installer import Place, command, edit

__all__ = ["CASES", "FORMS", "JSON", "JSONC", "TOML", "Case", "differences", "place_of", "variants"]

_THEIRS = '{"matcher": "Bash", "hooks": [{"type": "command", "command": "lint", "timeout": 9}]}'
_JSON = {
    "empty": "",
    "blank": " \n\n",
    "object": "{}",
    "object-spaced": "{ }\n",
    "object-lines": "{\n}\n",
    "other-keys": '{\n  "model": "opus",\n  "env": {"A": "1"}\n}\n',
    "hooks-empty": '{\n  "hooks": {}\n}\n',
    "event-empty": '{\n  "hooks": {"Stop": [], "SessionEnd": [ ]}\n}\n',
    "event-lines": '{\n  "hooks": {\n    "Stop": [\n    ]\n  }\n}\n',
    "theirs": '{\n  "hooks": {\n    "Stop": [\n      @@\n    ]\n  }\n}\n',
    "theirs-two": '{"hooks": {"Stop": [@@, @@],\n "X": [@@]}}\n',
    "hugging": '{\n  "hooks": {\n    "Stop": [{\n      "hooks": [{"a": 1}]\n    }]\n  }\n}\n',
    "minified": '{"a":[1,2],"hooks":{"Stop":[@@]},"b":null}',
    "tabs": '{\n\t"hooks": {\n\t\t"Stop": [\n\t\t\t@@\n\t\t],\n\t\t"Other": []\n\t}\n}\n',
    "four": '{\n    "a": {\n        "b": [\n            1\n        ]\n    }\n}\n',
    "unicode": '{\n  "näme": "\\u00e9 é \\ud83d\\ude00",\n  "path": "C:\\\\x\\\\"\n}\n',
    "traps": '{\n  "a": "{\\"hooks\\": [ // no, */ \\"",\n  "b": {"hooks": {"Stop": [1]}}\n}\n',
    "numbers": '{"a": -1.5e-7, "b": 12345678901234567890, "c": [true, false, null]}\n',
    "hooks-last": '{\n  "z": 1,\n\n\n  "hooks" :\n  {\n    "Stop" : [ ]\n  }\n\n}\n\n\n',
    "odd-groups": '{"hooks": {"Stop": [1, null, {"hooks": 3}, {"hooks": []}], "X": {"y": 1}}}\n',
    "comma-first": '{\n    "a": 1\n  , "b": 2\n  , "hooks": {\n        "Stop": []\n      }\n}\n',
    "large": json.dumps({f"k{i}": ["x" * 1000] * 9 for i in range(600)}, indent=1),
}
_COMMENTED = {
    "comment-top": '// mine\n{\n  "a": 1 // one\n}\n',
    "comment-block": '/* mine */ {"a": 1 /* one */}\n/* end */',
    "comment-in-hooks": '{\n  "hooks": { // none yet\n  }\n}\n',
    "comment-in-event": '{\n  "hooks": {\n    "Stop": [\n      // none yet\n    ]\n  }\n}\n',
    "comment-after": '{\n  "hooks": {\n    "Stop": [\n      @@ // theirs\n    ] // of stop\n'
    "  } // of hooks\n}\n",
    "comment-quotes": '{\n  // "hooks": {"Stop": [],\n  "a": "//", /* } */ "b": 2\n}\n',
    "comment-only": "{ /* a */ }\n",
}
JSON = {name: text.replace("@@", _THEIRS) for name, text in _JSON.items()}
JSONC = {name: text.replace("@@", _THEIRS) for name, text in _COMMENTED.items()}
TOML = {
    "empty": "",
    "blank": "\n\n",
    "plain": 'model = "o3"\n',
    "comment-end": 'model = "o3"\n# the end',
    "tables": '[tui]\ntheme = "x" # dark\n\n[projects."/a b"]\ntrust_level = "trusted"\n',
    "inline": 'a = { b = 1, c = [ { d = 2 } ] }\nmodel_providers.x = { name = "X" }\n',
    "dotted": "a.b.c = 1\n[d.e]\nf.g = 2\n",
    "theirs": '[[hooks.Stop]]\nmatcher = "x"\n\n  [[hooks.Stop.hooks]]\n  command = "lint" # it\n',
    "theirs-two": '[[hooks.Stop]]\n[[hooks.Stop.hooks]]\ncommand = "a"\n[[hooks.Stop.hooks]]\n'
    'command = "b"\n\n# between\n\n[[hooks.PreToolUse]]\nhooks = [ { command = "c" } ]\n[x]\n',
    "state": '[hooks.state."/h/hooks.json:stop:0:0"]\ntrusted_hash = "sha256:1"\n',
    "strings": 'a = \'\'\'\n[[hooks.Stop]]\n\'\'\'\nb = """\n[hooks]\n\\""" # """\nc = \'#\'\n',
    "arrays": "a = [\n  [1],\n  [\n    2\n  ]\n]\nb = [\n  'x', # y\n]\n",
    "quoted": '["hooks"."other"]\n"x y" = 1\n[ a . b ]\n',
    "blank-end": "a = 1\n\n\n\n",
    "large": "".join(f'[t{i}]\na = "{"x" * 2400}"\nb = [1, 2, {{ c = 3 }}]\n' for i in range(2200)),
}
FORMS = ("0644", "0600", "0640", "link", "two links", "read-only")
"""How the file lies there."""


@dataclass(frozen=True, slots=True)
class Case:
    """A file of an agent's."""

    agent: str
    kind: str
    name: str
    text: str
    variant: str
    form: str = "0600"

    @property
    def content(self) -> bytes | None:
        """Its bytes; None for no file."""
        return None if self.variant == "missing" else _varied(self.text, self.variant)

    @property
    def bom(self) -> bool:
        """Whether the agent reads a file with a byte order mark."""
        return self.agent in ("claude", "qwen") or self.kind == "toml"

    @property
    def refused(self) -> bool:
        """Whether acr must keep off: the agent cannot read it, or it is somebody's on purpose."""
        commented = self.kind == "json" and self.name in JSONC
        marked = self.variant == "bom" and not self.bom
        return commented or marked or self.form == "read-only" or self.name == "foreign"


def _varied(text: str, variant: str) -> bytes:
    if variant == "crlf":
        text = text.replace("\n", "\r\n")
    if variant == "no final newline":
        text = text.rstrip("\n")
    return (b"\xef\xbb\xbf" if variant == "bom" else b"") + text.encode()


def variants() -> Iterator[Case]:
    """All texts as each agent may have them, large ones once."""
    loose = {**JSON, **JSONC}
    kinds = (
        ("codex", "json", loose),
        ("claude", "json", loose),
        ("gemini", "jsonc", loose),
        ("qwen", "jsonc", loose),
        ("codex", "toml", TOML),
    )
    for agent, kind, texts in kinds:
        for name, text in texts.items():
            for variant in ("lf", "crlf", "bom", "no final newline"):
                if name != "large" or variant == "lf":
                    yield Case(agent, kind, name, text, variant)
        yield Case(agent, kind, "missing", "", "missing")
        for form in FORMS:
            yield Case(agent, kind, "tabs" if kind != "toml" else "tables", _any(texts), "lf", form)
    yield Case("opencode", "js", "missing", "", "missing")
    for form in FORMS:
        yield Case(
            "opencode", "js", "foreign", "export const Mine = async () => ({})\n", "lf", form
        )


def _any(texts: dict[str, str]) -> str:
    return texts.get("tabs") or texts["tables"]


CASES = tuple(variants())


def place_of(case: Case, folder: Path) -> Place:
    """The file, made in `folder` as the case says."""
    names = {"toml": "config.toml", "js": "plugin/acr.js"}
    path = folder / "agent" / names.get(case.kind, "settings.json")
    place = Place(case.agent, path, case.kind, bom=case.bom)  # type: ignore[arg-type]
    if case.content is None:
        return place
    path.parent.mkdir(parents=True, exist_ok=True)
    real = folder / "dotfiles" if "link" in case.form else path
    real.write_bytes(case.content)
    real.chmod(int(case.form, 8) if case.form.isdigit() else 0o600)
    if case.form == "two links":
        (folder / "between").symlink_to("dotfiles")
        real = folder / "between"
    if "link" in case.form:
        path.symlink_to(os.path.relpath(real, path.parent))
    if case.form == "read-only":
        path.chmod(0o444)
    return place


def _seen(folder: Path) -> dict[str, tuple[int, str | bytes | None]]:
    """Everything in `folder`: mode, and where it leads or what it holds."""
    found: dict[str, tuple[int, str | bytes | None]] = {}
    for path in sorted(folder.rglob("*")):
        mode = stat.S_IMODE(path.lstat().st_mode)
        what = os.readlink(path) if path.is_symlink() else None
        found[str(path)] = (mode, what if what or path.is_dir() else path.read_bytes())
    return found


def differences(case: Case, folder: Path) -> tuple[bool, list[str]]:
    """(whether acr agreed to install, what differs afterwards) for a case in an empty folder."""
    place = place_of(case, folder)
    before = _seen(folder)
    try:
        edit.apply(edit.install(place))
    except AcrError:
        return False, _compared(before, _seen(folder))
    once = _seen(folder)
    wrong = [] if once != before else ["nothing was installed"]
    for _ in range(2):
        edit.apply(edit.install(place))
        wrong += _compared(once, _seen(folder))
    modes = {path: mode for path, (mode, _) in before.items()}
    wrong += [f"mode of {p}" for p, (mode, _) in once.items() if modes.get(p, mode) != mode]
    edit.apply(edit.uninstall(place))
    return True, wrong + _compared(before, _seen(folder))


def _compared(before: object, after: object) -> list[str]:
    assert isinstance(before, dict)
    assert isinstance(after, dict)
    return [p for p in before.keys() | after.keys() if before.get(p) != after.get(p)]


def main() -> None:
    """Prints the figures."""
    os.environ["ACR_HOME"] = tempfile.mkdtemp(prefix="acr-corpus-")
    command.prepare()
    installed = refused = 0
    wrong: list[str] = []
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            agreed, found = differences(case, Path(folder))
        installed, refused = installed + agreed, refused + (not agreed)
        wrong += [f"{case.agent} {case.kind} {case.name} {case.variant}: {d}" for d in found]
    print(
        f"{len(CASES)} files: {installed} installed three times and uninstalled, {refused} refused"
    )
    print(f"{len(wrong)} differences", *wrong, sep="\n")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
