"""Other people's files: what acr puts in comes out again, and nothing else is ever touched."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import resource
import signal
import stat
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acr.errors import AcrError
from acr.installer import Place, command, edit, state
from acr.installer.json_splice import json_hooks, json_merged, json_settings
from acr.installer.splice import SpliceError
from acr.installer.toml_splice import toml_hooks, toml_merged
from tests.installer import corpus
from tests.installer.corpus import CASES, Case

GROUPS = {
    agent: [(c.kind, c) for c in CASES if c.agent == agent]
    for agent in ("codex", "claude", "opencode", "gemini", "qwen")
}
WANTED = command.wanted("claude")
STRICT = {**corpus.JSON, **corpus.JSONC}
SMALL = {name: text for name, text in STRICT.items() if name != "large"}
SMALL_TOML = {name: text for name, text in corpus.TOML.items() if name != "large"}


@pytest.fixture(autouse=True)
def ready(home: Path) -> None:
    command.prepare()


@pytest.mark.parametrize("agent", GROUPS)
def test_installing_and_uninstalling_leaves_every_byte_mode_and_link(
    agent: str, tmp_path: Path
) -> None:
    wrong = []
    for number, (_, case) in enumerate(GROUPS[agent]):
        folder = tmp_path / str(number)
        folder.mkdir()
        agreed, found = corpus.differences(case, folder)
        if found or agreed == case.refused:
            wrong.append((case.kind, case.name, case.variant, case.form, agreed, found))
    assert not wrong


# ---- what others do meanwhile


def _json_later(text: str) -> str:
    """Another program adds a key at the end and a hook before and after acr's."""
    data = json.loads(text or "{}")
    hooks = data.setdefault("hooks", {})
    theirs = {"hooks": [{"type": "command", "command": "theirs"}]}
    hooks["Stop"] = [theirs, *hooks.get("Stop", []), theirs]
    hooks["Theirs"] = [theirs]
    return json.dumps({**data, "later": 1}, indent=2)


@pytest.mark.parametrize("name", sorted(set(SMALL) - set(corpus.JSONC)))
def test_hooks_and_keys_that_others_add_stay(name: str, tmp_path: Path) -> None:
    place = corpus.place_of(Case("claude", "json", name, SMALL[name], "lf"), tmp_path)
    edit.apply(edit.install(place))
    place.path.write_text(_json_later(place.path.read_text()))
    edit.apply(edit.install(place))
    assert len(edit.hooks(place)) == len(WANTED)
    edit.apply(edit.uninstall(place))
    assert json.loads(place.path.read_text()) == json.loads(_json_later(SMALL[name].strip()))


@pytest.mark.parametrize("name", SMALL)
def test_text_that_is_typed_around_the_hooks_stays_to_the_byte(name: str, tmp_path: Path) -> None:
    place = corpus.place_of(Case("qwen", "jsonc", name, SMALL[name], "lf"), tmp_path)
    if not SMALL[name].strip():
        return
    edit.apply(edit.install(place))
    place.path.write_text("// typed\n" + place.path.read_text() + "\n\n// later")
    edit.apply(edit.uninstall(place))
    assert place.path.read_text() == "// typed\n" + SMALL[name] + "\n\n// later"
    assert state.get(place) is None


@pytest.mark.parametrize("name", SMALL_TOML)
def test_tables_that_others_append_stay_to_the_byte(name: str, tmp_path: Path) -> None:
    place = corpus.place_of(Case("codex", "toml", name, SMALL_TOML[name], "lf"), tmp_path)
    edit.apply(edit.install(place))
    later = '\n[later]\nx = "acr_hook" # --acr-hook\n[[hooks.Later]]\nhooks = []\n'
    place.path.write_text(place.path.read_text() + later)
    edit.apply(edit.install(place))
    edit.apply(edit.uninstall(place))
    begun = SMALL_TOML[name]
    assert (
        place.path.read_text()
        == begun + ("\n" * (not begun.endswith("\n") and begun != "")) + later
    )


def test_a_hook_that_is_put_into_acrs_group_stays(tmp_path: Path) -> None:
    place = corpus.place_of(Case("claude", "json", "object", "{}", "lf"), tmp_path)
    edit.apply(edit.install(place))
    data = json.loads(place.path.read_text())
    data["hooks"]["Stop"][0]["hooks"].insert(0, {"type": "command", "command": "theirs"})
    place.path.write_text(json.dumps(data))
    edit.apply(edit.install(place))
    assert len(edit.hooks(place)) == len(WANTED)
    edit.apply(edit.uninstall(place))
    left = {"hooks": {"Stop": [{"hooks": [{"type": "command", "command": "theirs"}]}]}}
    assert json.loads(place.path.read_text()) == left


def test_acrs_group_is_the_last_and_keeps_its_place(tmp_path: Path) -> None:
    """Codex knows trusted hooks by their number."""
    text = corpus.JSON["theirs"]
    merged = json_merged(text, WANTED, command.is_ours)
    stop = json.loads(merged)["hooks"]["Stop"]
    assert [command.is_ours(g["hooks"][0]["command"]) for g in stop] == [False, True]
    data = json.loads(merged)
    data["hooks"]["Stop"].append(stop[0])
    again = json_merged(json.dumps(data), WANTED, command.is_ours)
    assert again == json.dumps(data)


# ---- properties

_SPACE = st.sampled_from(["", " ", "\n", "\n  ", "\t", "\r\n"])
_NOTE = st.sampled_from(["", "", "// note, }\n", "/* [note], */", ' // "hooks": {\n'])
_GAP = st.tuples(_SPACE, _NOTE, _SPACE).map("".join)
_TEXT = st.text(st.sampled_from('aé"\\/,:{}[]\n*'), max_size=5)
_KEYS = st.sampled_from(["Stop", "SessionEnd", "Theirs", "a", "b"])
_HANDLER = st.fixed_dictionaries({"command": _TEXT})
_LEAF = st.none() | st.booleans() | st.integers() | _TEXT
_GROUP = st.fixed_dictionaries({"hooks": st.lists(_HANDLER, max_size=2)}) | _LEAF
_HOOKS = st.dictionaries(_KEYS, st.lists(_GROUP, max_size=3), max_size=3)
_DATA = st.dictionaries(st.sampled_from("xyz"), _LEAF | st.lists(_LEAF), max_size=3)
_FILE = st.tuples(_DATA, st.none() | _HOOKS).map(
    lambda both: both[0] if both[1] is None else {**both[0], "hooks": both[1]}
)


def _laid_out(data: Any, gap: Callable[[], str]) -> str:
    """JSON text with gaps of any kind between its tokens."""
    if isinstance(data, dict):
        parts = [
            f"{gap()}{json.dumps(k)}{gap()}:{gap()}{_laid_out(v, gap)}{gap()}"
            for k, v in data.items()
        ]
        return "{" + (",".join(parts) or gap()) + "}"
    if isinstance(data, list):
        return "[" + (",".join(f"{gap()}{_laid_out(v, gap)}{gap()}" for v in data) or gap()) + "]"
    return json.dumps(data)


@settings(max_examples=400, deadline=None)
@given(_FILE, st.lists(_GAP, min_size=1, max_size=25))
def test_any_json_comes_back_to_the_byte(content: Any, gaps: list[str]) -> None:
    again = itertools.cycle(gaps)
    text = _laid_out(content, lambda: next(again)) + gaps[0]
    merged = json_merged(text, WANTED, command.is_ours, comments=True)
    found = json_hooks(merged, command.is_ours, comments=True)
    assert {hook.event: hook.value for hook in found} == WANTED
    assert json_merged(merged, WANTED, command.is_ours, comments=True) == merged
    assert json_merged(merged, {}, command.is_ours, comments=True, base=text) == text
    blind = json_merged(merged, {}, command.is_ours, comments=True)
    assert _filled(json_settings(blind, comments=True)) == _filled(content)


_LINES = st.lists(
    st.sampled_from(
        [
            'a1 = "x" # y',
            "",
            "# [[hooks.Stop]]",
            "[t1]",
            "[[hooks.Stop]]",
            "[[hooks.Stop.hooks]]",
            '[hooks.state."/x/hooks.json:stop:0:0"]',
            'command = "theirs"',
            "b1 = [\n  [1],\n]",
            "c1 = '''\n[[hooks.Stop]]\n'''",
            'd1 = """\n[x]\\"""\n"""',
            "[[hooks.Theirs]]",
            "hooks = [ { command = 'x' } ]",
        ]
    ),
    max_size=10,
)


@settings(max_examples=400, deadline=None)
@given(_LINES, st.sampled_from(["\n", "\r\n"]), st.booleans(), st.booleans())
def test_any_toml_comes_back_to_the_byte(
    lines: list[str], newline: str, ends: bool, trusted: bool
) -> None:
    text = newline.join(line.replace("\n", newline) for line in lines) + newline * ends
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    trust = {"/y/config.toml:stop:0:0": "sha256:2"} if trusted else {}
    try:
        merged = toml_merged(text, WANTED, command.is_ours, trust=trust)
    except SpliceError:  # hooks written inline
        return
    assert {f.event: f.value for f in toml_hooks(merged, command.is_ours)} == WANTED
    assert toml_merged(merged, WANTED, command.is_ours, trust=trust) == merged
    back = toml_merged(merged, {}, command.is_ours, distrust=tuple(trust), base=text)
    assert back == text


_STEPS = st.lists(
    st.sampled_from(["install", "theirs first", "theirs last", "key", "indent", "minify", "drop"]),
    max_size=8,
)


@settings(max_examples=300, deadline=None)
@given(_FILE, _STEPS)
def test_whatever_others_do_between_only_acrs_hooks_come_out(
    content: dict[str, Any], steps: list[str]
) -> None:
    """The same steps with acr installed, and without it ever being there."""
    with_acr = json_merged(json.dumps(content, indent=2), WANTED, command.is_ours)
    without = json.dumps(content, indent=2)
    for number, step in enumerate(steps):
        if step == "install":
            with_acr = json_merged(with_acr, WANTED, command.is_ours)
        else:
            with_acr, without = (_changed(t, step, number) for t in (with_acr, without))
    base = json.dumps(content)
    out = json.loads(json_merged(with_acr, {}, command.is_ours, base=base))
    assert _filled(out) == _filled(json.loads(without))


def _changed(text: str, step: str, number: int) -> str:
    """What another program makes of the file."""
    data = json.loads(text)
    theirs = {"hooks": [{"type": "command", "command": f"theirs {number}"}]}
    if step.startswith("theirs"):
        groups = data.setdefault("hooks", {}).setdefault("Stop", [])
        groups.insert(0 if step.endswith("first") else len(groups), theirs)
    if step == "key":
        data[f"key{number}"] = number
    if step == "drop":
        data.pop("x", None)
    return json.dumps(data, indent=None if step == "minify" else number)


def _filled(data: dict[str, Any]) -> dict[str, Any]:
    """Without events and hooks that hold nothing."""
    hooks = {event: groups for event, groups in data.get("hooks", {}).items() if groups}
    return {
        **{k: v for k, v in data.items() if k != "hooks"},
        **({"hooks": hooks} if hooks else {}),
    }


# ---- files that cannot be read


@pytest.mark.parametrize("kind", ["json", "jsonc", "toml"])
def test_a_file_that_is_cut_off_anywhere_is_left_or_comes_back(kind: str) -> None:
    texts = SMALL_TOML if kind == "toml" else SMALL
    tried = refused = 0
    for text in texts.values():
        for cut in range(len(text)):
            part, tried = text[:cut], tried + 1
            try:
                merged = _merge(kind, part, WANTED)
            except SpliceError:
                refused += 1
                continue
            assert _merge(kind, merged, {}, part) == part
    assert tried > 500
    assert refused > tried / 8


def _merge(kind: str, text: str, wanted: Any, base: str | None = None) -> str:
    if kind == "toml":
        return toml_merged(text, wanted, command.is_ours, base=base)
    return json_merged(text, wanted, command.is_ours, comments=kind == "jsonc", base=base)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'{\n  "a": 1,\n}', ":3: "),
        (b'{\n "a": \xff}', ":2: not UTF-8"),
        (b'{\n "hooks": {},\n "hooks": {}\n}', ":3: hooks is there twice"),
        (b'{\n "hooks": {"Stop": [],\n "Stop": []}\n}', ":3: Stop is there twice"),
        (b'{\n "hooks": []}', ":2: hooks is not an object"),
        (b'{"hooks":\n {"Stop": 1}}', ":2: Stop is not a list"),
        (b"[]", ":1: it is not an object"),
        (b'{"a": NaN}', "NaN"),
        (b"{} {}", ":1: Extra data"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a": "\x01"}', ":1: Invalid control character"),
    ],
)
def test_json_that_cannot_be_read_is_left_and_the_line_is_named(
    content: bytes, says: str, tmp_path: Path
) -> None:
    place = Place("claude", tmp_path / "settings.json", "json", bom=True)
    place.path.write_bytes(content)
    with pytest.raises(AcrError) as refused:
        edit.install(place)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)
    assert place.path.read_bytes() == content


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a = 1\nb =\n", ":2: "),
        ("a = 1\na = 2", ":2: "),
        ("hooks = { Stop = [] }\n", "hooks"),
        ("hooks = 3\n", "hooks is not a table"),
        ("[hooks]\nStop = [ { hooks = [] } ]\n", "Stop"),
        ('a = "\n', ":1: "),
    ],
)
def test_toml_that_cannot_be_read_or_changed_is_left(text: str, says: str, tmp_path: Path) -> None:
    place = Place("codex", tmp_path / "config.toml", "toml")
    place.path.write_text(text)
    with pytest.raises(AcrError, match="left as it is") as refused:
        edit.install(place)
    assert says in str(refused.value)
    assert place.path.read_text() == text


# ---- a disk that fails


CALLS = ("fsync", "replace", "fchmod", "mkdir", "unlink", "rmdir")


@contextlib.contextmanager
def failing(at: int, act: Callable[[], None]) -> Iterator[list[str]]:
    """The `at`-th system call that writes fails by `act`; yields the calls that were made."""
    made: list[str] = []
    real = {name: getattr(os, name) for name in CALLS}

    def wrap(name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            made.append(name)
            if len(made) == at:
                act()
            return real[name](*args, **kwargs)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in CALLS:
            patch.setattr(os, name, wrap(name))
        yield made


def _full() -> None:
    raise OSError(28, "No space left on device", "somewhere")


CYCLE = (
    Case("claude", "json", "theirs", corpus.JSON["theirs"], "lf"),
    Case("claude", "json", "missing", "", "missing"),
    Case("codex", "toml", "inline", corpus.TOML["inline"], "no final newline"),
    Case("opencode", "js", "missing", "", "missing"),
)


@pytest.mark.parametrize("case", CYCLE, ids=lambda c: f"{c.agent}-{c.name}")
@pytest.mark.parametrize("dies", [False, True])
def test_a_failure_at_any_write_leaves_the_old_or_the_new_file(
    case: Case, dies: bool, tmp_path: Path
) -> None:
    """`dies`: the process is gone at that moment, and nothing of it cleans up."""
    for at in itertools.count(1):
        folder = tmp_path / str(at)
        folder.mkdir()
        place = corpus.place_of(case, folder)
        old = case.content
        new = edit.install(place).after
        if not (_in_child(at, place) if dies else _in_process(at, place)):
            break
        now = place.path.read_bytes() if place.path.exists() else None
        assert now in (old, new)
        if not dies:
            assert [p.name for p in folder.rglob(".*")] == []
        edit.apply(edit.install(place))
        assert place.path.read_bytes() == new
        edit.apply(edit.uninstall(place))
        assert (place.path.read_bytes() if place.path.exists() else None) == old
        assert state.get(place) is None
    assert at > 8


def _round(place: Place) -> None:
    edit.apply(edit.install(place))
    edit.apply(edit.uninstall(place))


def _in_process(at: int, place: Place) -> bool:
    """Whether there was an `at`-th call, which fails."""
    with failing(at, _full) as made, contextlib.suppress(OSError, AcrError):
        _round(place)
    return len(made) >= at


def _in_child(at: int, place: Place) -> bool:
    """The same in a process that dies there."""
    child = os.fork()
    if not child:
        with failing(at, lambda: os.kill(os.getpid(), signal.SIGKILL)):
            _round(place)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0


def test_a_disk_that_is_full_leaves_the_old_file(tmp_path: Path) -> None:
    case = Case("claude", "json", "theirs", corpus.JSON["theirs"], "lf")
    place = corpus.place_of(case, tmp_path)
    change = edit.install(place)
    for limit in (0, 100, 600):
        child = os.fork()
        if not child:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            try:
                edit.apply(change)
            except OSError:
                os._exit(7)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert place.path.read_bytes() == case.content
        assert [p.name for p in place.path.parent.iterdir()] == ["settings.json"]


def test_a_file_that_changes_meanwhile_is_left(tmp_path: Path) -> None:
    place = corpus.place_of(Case("claude", "json", "object", "{}", "lf"), tmp_path)
    change = edit.install(place)
    place.path.write_text('{"new": 1}')
    with pytest.raises(AcrError, match="changed by another program"):
        edit.apply(change)
    assert place.path.read_text() == '{"new": 1}'
    assert state.get(place) is None


# ---- earlier versions, and what is not to be touched


@pytest.mark.parametrize("mark", ["--acr-hook", ""])
@pytest.mark.parametrize("kind", ["json", "toml"])
def test_hooks_of_an_earlier_version_are_brought_up_to_date_in_their_place(
    kind: str, mark: str, tmp_path: Path
) -> None:
    theirs = {"hooks": [{"type": "command", "command": "theirs"}]}
    old_command = f"/old/python /gone/hooks/acr_hook.py codex Stop {mark}"
    old = {"matcher": "x", "hooks": [{"type": "command", "command": old_command}]}
    gone = {"hooks": [{"type": "command", "command": old_command}]}
    data = {"hooks": {"Stop": [theirs, old, theirs], "Retired": [gone], "Both": [gone, theirs]}}
    place = Place("codex", tmp_path / f"settings.{kind}", kind)  # type: ignore[arg-type]
    place.path.write_text(json.dumps(data, indent=1) if kind == "json" else _toml(data["hooks"]))
    edit.apply(edit.install(place))
    found = {hook.event: hook for hook in edit.hooks(place)}
    assert {event: hook.value for event, hook in found.items()} == command.wanted("codex")
    assert found["Stop"].group == 1
    once = place.path.read_bytes()
    edit.apply(edit.install(place))
    assert place.path.read_bytes() == once
    edit.apply(edit.uninstall(place))
    assert edit.data(place) == {"hooks": {"Stop": [theirs, theirs], "Both": [theirs]}}


def _toml(hooks: dict[str, Any]) -> str:
    text = ""
    for event, groups in hooks.items():
        for group in groups:
            text += f"[[hooks.{event}]]\n"
            text += f'matcher = "{group["matcher"]}"\n' if "matcher" in group else ""
            for handler in group["hooks"]:
                text += f"[[hooks.{event}.hooks]]\n"
                text += "".join(f"{k} = {json.dumps(v)}\n" for k, v in handler.items())
    return text


def test_hooks_in_a_file_that_cannot_be_read_any_more_are_left(tmp_path: Path) -> None:
    place = corpus.place_of(Case("claude", "json", "four", corpus.JSON["four"], "lf"), tmp_path)
    edit.apply(edit.install(place))
    broken = place.path.read_bytes()[:-3]
    place.path.write_bytes(broken)
    with pytest.raises(AcrError, match="left as it is"):
        edit.uninstall(place)
    assert place.path.read_bytes() == broken
    assert state.get(place) is not None


def test_hooks_without_a_record_are_known_by_their_marker(tmp_path: Path) -> None:
    place = corpus.place_of(Case("claude", "json", "theirs", corpus.JSON["theirs"], "lf"), tmp_path)
    edit.apply(edit.install(place))
    state.forget(place)
    edit.apply(edit.install(place))
    edit.apply(edit.uninstall(place))
    assert place.path.read_text() == corpus.JSON["theirs"]


def test_the_bytes_from_before_are_kept_private_and_dropped_after(
    home: Path, tmp_path: Path
) -> None:
    place = corpus.place_of(
        Case("claude", "json", "four", corpus.JSON["four"], "lf", "0644"), tmp_path
    )
    edit.apply(edit.install(place))
    (kept,) = (home / "hooks" / "before").iterdir()
    assert kept.read_text() == corpus.JSON["four"]
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(place.path.stat().st_mode) == 0o644
    edit.apply(edit.uninstall(place))
    assert not list((home / "hooks" / "before").iterdir())


@pytest.mark.parametrize("way", ["file", "folder", "dangling", "directory", "fifo", "hard link"])
def test_a_file_that_is_none_or_leads_out_of_the_repository_is_refused(
    way: str, tmp_path: Path
) -> None:
    root, outside = tmp_path / "repo", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (outside / "settings.json").write_text("{}")
    folder = root / ".claude"
    if way == "folder":
        folder.symlink_to(outside)
    else:
        folder.mkdir()
    file = folder / "settings.json"
    if way == "file":
        file.symlink_to(outside / "settings.json")
    if way == "dangling":
        file.symlink_to(folder / "nothing")
    if way == "directory":
        file.mkdir()
    if way == "fifo":
        os.mkfifo(file)
    if way == "hard link":
        os.link(outside / "settings.json", file)
    place = Place("claude", file, "json", root)
    with pytest.raises(AcrError):
        edit.apply(edit.install(place))
    assert (outside / "settings.json").read_text() == "{}"
    assert [p.name for p in outside.iterdir()] == ["settings.json"]


def test_a_link_within_the_repository_is_followed(tmp_path: Path) -> None:
    (tmp_path / "kept.json").write_text("{}")
    (tmp_path / ".claude").mkdir()
    place = Place("claude", tmp_path / ".claude" / "settings.json", "json", tmp_path)
    place.path.symlink_to("../kept.json")
    edit.apply(edit.install(place))
    assert place.path.is_symlink()
    assert edit.hooks(place)
    edit.apply(edit.uninstall(place))
    assert (tmp_path / "kept.json").read_text() == "{}"
