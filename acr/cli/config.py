"""acr config: the effective settings, where each comes from, and a byte-exact way to set one."""

from __future__ import annotations

import dataclasses
import difflib
import math
import sys
import tomllib
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from acr import settings
from acr.cli.editor import open_editor
from acr.cli.run import AsJson
from acr.cli.toml import dotted, key_path, parsed, spelt, with_value
from acr.errors import SettingsError, UsageError
from acr.files import replace_file

__all__ = ["Leaf", "app", "leaves"]

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    help="Shows and changes settings (config.toml); without a subcommand: show.",
)


NAMED: dict[tuple[str, ...], type] = {
    ("repositories",): settings.RepositorySettings,
    ("budget", "profiles"): settings.Caps,
    ("budget", "repositories"): settings.Caps,
    ("verifier", "weights"): settings.SignalWeights,
}
"""Tables whose entries have names of the user's -> what is in an entry."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """One setting."""

    key: tuple[str, ...]
    kind: Any
    """Its annotated type."""
    value: Any
    """In effect now."""

    @property
    def name(self) -> str:
        """The dotted key; a repository's path is quoted."""
        return dotted(self.key)


def _keys(incomplete: str) -> list[str]:
    """Names of settings that begin with `incomplete`, for the shell's completion."""
    names = [leaf.name for leaf in leaves(settings.Settings())]
    return [name for name in names if name.startswith(incomplete)]


Key = Annotated[str, typer.Argument(help="A setting, e.g. agents.autonomy.", autocompletion=_keys)]


@app.callback(invoke_without_command=True)
def default(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Shows and changes settings (config.toml); without a subcommand: show."""
    if context.invoked_subcommand is None:
        show(as_json=as_json)


@app.command()
def path() -> None:
    """Prints the path of config.toml, whether or not it exists."""
    sys.stdout.write(f"{_file()}\n")


@app.command()
def show(*, as_json: AsJson = False) -> None:
    """Shows every setting in effect and where it comes from."""
    from acr.cli.console import clean, emit_json, out, table

    file, data = _file(), _data()
    config = settings.load()
    found = [(leaf, _source(leaf.key, data)) for leaf in leaves(config)]
    if as_json:
        rows = {leaf.name: {"value": leaf.value, "source": source} for leaf, source in found}
        return emit_json({"path": file, "exists": file.exists(), "settings": rows})
    shown = table("setting", "value", "from")
    for leaf, source in found:
        style = "" if source == "config.toml" else "dim"
        shown.add_row(clean(leaf.name), clean(_shown(leaf.value)), source, style=style)
    out().print(shown)
    note = "" if file.exists() else " (not there yet; all settings are defaults)"
    return out().print(f"{clean(str(file))}{note}", style="dim")


@app.command(epilog="Example: acr config get agents.autonomy")
def get(key: Key, *, as_json: AsJson = False) -> None:
    """Prints the value of one setting that is in effect."""
    from acr.cli.console import emit_json

    leaf = _leaf(key, settings.load())
    if as_json:
        return emit_json(
            {"key": leaf.name, "value": leaf.value, "source": _source(leaf.key, _data())}
        )
    lines = leaf.value if isinstance(leaf.value, tuple) else (leaf.value,)
    text = "".join(f"{'' if line is None else _plain(line)}\n" for line in lines)
    sys.stdout.write(text)
    return None


@app.command(
    "set",
    epilog="Examples: acr config set agents.max_tries 2 · acr config set pool.agents codex claude",
    context_settings={"ignore_unknown_options": True},
)
def set_(
    key: Key,
    values: Annotated[
        list[str] | None,
        typer.Argument(metavar="VALUE", help="The value; several, or none, for a list."),
    ] = None,
) -> None:
    """Sets one setting in config.toml and keeps every other byte of the file."""
    from acr.cli.console import clean, out

    file = _file()
    text = _text(file)
    before = settings.parse(settings.Settings, parsed(text, file), text, file)
    leaf = _leaf(key, before)
    value, written = _value(leaf, values or [])
    candidate = with_value(text, leaf.key, value, written, file)
    after = settings.parse(settings.Settings, parsed(candidate, file), candidate, file)
    if candidate != text:
        replace_file(file, candidate)
    now = _leaf(key, after)
    out().print(clean(f"{now.name}: {_shown(leaf.value)} → {_shown(now.value)}"))


@app.command()
def edit() -> None:
    """Opens config.toml in $VISUAL or $EDITOR; what does not parse is not taken."""
    from acr.cli.console import clean, out

    file = _file()
    draft = file.with_name("config.draft.toml")
    if not draft.exists():
        replace_file(draft, _text(file) or _template())
    open_editor(draft)
    text = _text(draft)
    if text in (_text(file), _template()):
        draft.unlink()
        return out().print("nothing was changed")
    try:
        settings.parse(settings.Settings, parsed(text, draft), text, draft)
    except SettingsError as e:
        raise SettingsError(
            f"{e}. config.toml is as before; `acr config edit` goes on with the draft"
        ) from None
    replace_file(file, text)
    draft.unlink()
    return out().print(clean(f"{file} changed"))


def leaves(config: Any, where: tuple[str, ...] = ()) -> Iterator[Leaf]:
    """Every setting of `config`, a Settings or a part of it, in the order of the classes."""
    hints = typing.get_type_hints(type(config))
    for each in dataclasses.fields(config):
        value, key = getattr(config, each.name), (*where, each.name)
        if dataclasses.is_dataclass(value):
            yield from leaves(value, key)
        elif isinstance(value, dict):
            for name, part in value.items():
                yield from leaves(part, (*key, name))
        else:
            yield Leaf(key, hints[each.name], value)


def _leaf(name: str, config: settings.Settings) -> Leaf:
    """The setting called `name`. Raises UsageError with a suggestion."""
    known = {leaf.key: leaf for leaf in leaves(config)}
    key = key_path(f"{name} = 0") if "=" not in name else ()
    if key in known:
        return known[key]
    part = NAMED.get(key[:-2])
    for leaf in leaves(part(), key[:-1]) if part else ():
        if leaf.key == key:
            return leaf
    names = [leaf.name for leaf in known.values()]
    near = difflib.get_close_matches(name, names, 1)
    hint = f"did you mean {near[0]}?" if near else "`acr config` lists them"
    raise UsageError(f"no setting called {name!r}; {hint}")


def _value(leaf: Leaf, given: list[str]) -> tuple[Any, str]:
    """What to store for `given` and how TOML spells it. Raises UsageError when it does not fit."""
    kind = leaf.kind
    if typing.get_origin(kind) is tuple:
        if typing.get_args(kind)[0] is not str:
            raise UsageError(f"{leaf.name} is a list of tables; change it with `acr config edit`")
        return given, "[" + ", ".join(map(spelt, given)) + "]"
    if len(given) != 1:
        raise UsageError(f"{leaf.name} takes one value, not {len(given)}")
    text = given[0]
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        kind = typing.get_args(kind)[0]
    value: Any = text if kind is str or typing.get_origin(kind) is Literal else _number(text)
    where = Path("acr")
    try:
        settings.parse(kind, value, "", where, leaf.name)
    except SettingsError as e:
        raise UsageError(str(e).removeprefix(f"{where}:1: ")) from None
    return value, spelt(value) if isinstance(value, str) else text.strip()


def _number(text: str) -> Any:
    """The TOML number or truth value in `text`, else `text` itself."""
    try:
        value = tomllib.loads(f"v = {text.strip()}")["v"] if "\n" not in text.strip() else text
    except tomllib.TOMLDecodeError:
        return text
    usable = isinstance(value, (bool, int)) or (isinstance(value, float) and math.isfinite(value))
    return value if usable and "#" not in text else text


def _file() -> Path:
    return settings.home() / "config.toml"


def _text(file: Path) -> str:
    """What is in `file`, line ends as they are; empty when there is none."""
    try:
        settings.read_toml(file)
    except FileNotFoundError:
        return ""
    except SettingsError as e:
        if isinstance(e.__context__, tomllib.TOMLDecodeError):
            return file.read_bytes().decode()
        raise
    return file.read_bytes().decode()


def _data() -> dict[str, Any]:
    """What config.toml itself sets."""
    try:
        return settings.read_toml(_file())[0]
    except FileNotFoundError:
        return {}


def _source(key: tuple[str, ...], data: Any) -> str:
    for name in key:
        if not isinstance(data, dict) or name not in data:
            return "default"
        data = data[name]
    return "config.toml"


def _shown(value: Any) -> str:
    """A value for people: an empty one and a missing one are told apart from text."""
    if value is None:
        return "none"
    if isinstance(value, tuple):
        return ", ".join(map(_plain, value)) or "empty"
    return _plain(value) if value != "" else "empty"


def _plain(value: Any) -> str:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return " ".join(getattr(value, "command", ())) or str(value)
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _template() -> str:
    """A first config.toml: every default, commented out."""
    lines = ["# Settings of acr. Take the # away to change one."]
    table: tuple[str, ...] = ()
    for leaf in leaves(settings.Settings()):
        if leaf.key[:-1] != table:
            table = leaf.key[:-1]
            lines += ["", f"# [{dotted(table)}]"]
        lines.append(f"# {leaf.key[-1]} = {_example(leaf.value)}")
    return "\n".join(lines) + "\n"


def _example(value: Any) -> str:
    if value is None:
        return "1.0"
    return "[]" if value == () else spelt(value)
