"""Wires the commands: finds the one that is meant, runs it, turns errors into exit codes."""

from __future__ import annotations

import difflib
import errno
import io
import os
import re
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

import typer
from typer.core import TyperGroup
from typer.main import get_command

from acr.errors import AcrError, UsageError

if TYPE_CHECKING:
    from typer._click import Command, Context

__all__ = ["COMMANDS", "run"]

COMMANDS = {
    "run": ("acr.cli.run:app", "Does a task: choose, run, verify, remember. The default command."),
    "continue": ("acr.cli.resume:app", "Goes on in the session of an earlier run."),
    "route": ("acr.cli.route:app", "Decides which profile would be used and runs nothing."),
    "why": ("acr.cli.why:app", "Explains a decision: votes, neighbours, rules."),
    "runs": ("acr.cli.runs:app", "Lists runs; shows one; shows the changes it made."),
    "stats": ("acr.cli.stats:app", "Win rates per model and kind of task, with n and interval."),
    "report": ("acr.cli.report:app", "Everything that was learned, as one HTML file."),
    "watch": ("acr.cli.watch:app", "Live view: running tries, spend today, last verdicts."),
    "status": ("acr.cli.status:app", "Last run, today's spend and win rate; a line for prompts."),
    "export": ("acr.cli.export:app", "Outcomes as CSV, JSON Lines or Parquet for other programs."),
    "good": ("acr.cli.judge:good_app", "Says that a run went well; overrides its verdict."),
    "bad": ("acr.cli.judge:bad_app", "Says that a run went badly; overrides its verdict."),
    "feedback": ("acr.cli.judge:feedback_app", "Reports how a recorded decision went."),
    "verify": ("acr.cli.verify:app", "Verifies the working tree against a revision."),
    "context": ("acr.cli.context:app", "Shows what acr sees in this repository, and why."),
    "classify": ("acr.cli.classify:app", "Shows the kind of request that a prompt is."),
    "agents": ("acr.cli.agents:app", "Lists coding agents: found, version, login, profiles."),
    "profiles": ("acr.cli.profiles:app", "Lists and edits profiles: agent + model + effort."),
    "hooks": ("acr.cli.hooks:app", "Learns from sessions that you start without acr."),
    "memory": ("acr.cli.memory:app", "Shows, searches, exports and prunes what was learned."),
    "calibrate": ("acr.cli.calibrate:app", "Fits the choice to your own outcomes; can be undone."),
    "ingest": ("acr.cli.ingest:app", "Learns from the sessions that hooks noted."),
    "prices": ("acr.cli.prices:app", "Shows the price used for a model and where it comes from."),
    "config": ("acr.cli.config:app", "Shows and changes settings."),
    "sandbox": ("acr.cli.sandbox:app", "Shows the sandboxes that tests can run in."),
    "gateway": ("acr.cli.gateway:app", "Routes single model calls of agents; shows what passed."),
    "bench": ("acr.cli.bench:app", "Replays routers on recorded outcomes; calls no model."),
    "init": ("acr.cli.init:app", "Finds installed agents and writes a first config.toml."),
    "doctor": ("acr.cli.doctor:app", "Checks every part, with the fix for what is broken."),
    "demo": ("acr.cli.demo:app", "Shows the loop on a small repository; calls no model."),
    "completion": ("acr.cli.completion:app", "Prints the shell completion for bash, zsh or fish."),
}
"""Command -> (where its typer app lives, what it is for in one sentence)."""

TAKES_AGENT_ARGUMENTS = ("run", "continue")

ClickUsageError: Any = typer.BadParameter.__mro__[1]
"""The error of a wrong command line; typer exports only this child of it."""


class _Lazy(TyperGroup):
    """A group whose commands are imported when they are used."""

    names_only = False

    def list_commands(self, ctx: Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:
        if cmd_name not in COMMANDS:
            return None
        where, purpose = COMMANDS[cmd_name]
        if self.names_only:
            return _stub(cmd_name, purpose)
        return _load(cmd_name, where, purpose)


def _stub(name: str, purpose: str) -> Command:
    """A command that has a name and a purpose only: enough for help and completion of names."""
    stub = typer.Typer(name=name, help=purpose, add_completion=False)
    stub.command(name=name, help=purpose)(lambda: None)
    return get_command(stub)


def _load(name: str, where: str, purpose: str) -> Command:
    """The real command, imported from `where` (module:attribute)."""
    module, _, attribute = where.partition(":")
    command = get_command(getattr(import_module(module), attribute))
    command.name = name
    command.help = command.help or purpose
    return command


def _names_only(argv: Sequence[str]) -> bool:
    """Whether help or completion needs names and purposes, not the commands themselves."""
    if "_ACR_COMPLETE" in os.environ:
        words = os.environ.get("COMP_WORDS", os.environ.get("_TYPER_COMPLETE_ARGS", "")).split()
        return len(words) <= 2 and (not words[1:] or words[1] not in COMMANDS)
    return list(argv) in ([], ["-h"], ["--help"])


_app = typer.Typer(
    cls=_Lazy,
    name="acr",
    help='Routes each coding task to the agent and model that wins on your code: acr "PROMPT".',
    epilog='A first argument that is no command is the prompt of "run"; --version shows the '
    "version. Exit codes: 0 done, 1 error, 2 usage, 3 bug, 4 verdict fail, 5 no agent could run.",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@_app.callback()
def _main() -> None:
    """Options of acr itself would stand here; it has none."""


def run(argv: Sequence[str]) -> int:
    """Runs acr with `argv` and returns its exit code; errors are one line on stderr."""
    signal.signal(signal.SIGTERM, _terminate)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, _terminate)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # JSON is UTF-8 whatever the locale says
            stream.reconfigure(encoding="utf-8", errors=stream.errors)
    try:
        return _written(list(argv))
    except AcrError as e:
        return _say(e.exit_code, str(e))
    except ClickUsageError as e:
        context = f"; see {e.ctx.command_path} --help" if e.ctx else ""
        if not e.format_message():  # no argument at all: the help has been shown
            return 2
        return _say(2, e.format_message().replace("Value error, ", "").rstrip(".") + context)
    except typer.Exit as e:
        return e.exit_code
    except typer.Abort:
        return _say(1, "not confirmed; nothing was done")
    except KeyboardInterrupt as e:
        return _say(128 + getattr(e, "number", signal.SIGINT), "stopped")
    except Exception:  # a bug: keep the traceback for the report, show one line
        return _say(3, f"a bug in acr; what happened is in {_log_bug(argv)}")


def _written(argv: list[str]) -> int:
    """The exit code, once all output is out. Raises AcrError when the system refuses something."""
    try:
        try:
            return _dispatch(argv)
        finally:
            if sys.stdout:
                sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as head, has seen enough
        _drop_output()
        return 0
    except SystemExit as e:
        if isinstance(e.__context__, BrokenPipeError):  # rich's answer to the same
            return 0
        raise
    except OSError as e:
        if reason := _reason(e):
            raise AcrError(reason) from None
        raise


def _reason(error: OSError) -> str:
    """What the system refused, in words; empty when that is not known."""
    if error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    if error.errno == errno.ENOENT:  # of getcwd
        return "the current folder is gone; change to one that exists"
    if error.errno in (errno.ENOSPC, errno.EIO, errno.EDQUOT):
        _drop_output()
        return f"the output cannot be written: {error.strerror}"
    return ""


def _drop_output() -> None:
    """What is still buffered goes nowhere, or Python would try to write it at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP; everything that handles ^C handles it too."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    raise Terminated(number)


def _dispatch(argv: list[str]) -> int:
    first = argv[0] if argv else ""
    if argv and "_ACR_COMPLETE" not in os.environ and first not in (*COMMANDS, "-h", "--help"):
        _refuse_typo(argv)
        argv = ["run", *argv]
    after: list[str] = []
    if argv and argv[0] in TAKES_AGENT_ARGUMENTS and "--" in argv:
        cut = argv.index("--")
        argv, after = argv[:cut], argv[cut + 1 :]
    if "_ACR_COMPLETE" in os.environ:
        _complete_run()
    command = get_command(_app)
    assert isinstance(command, _Lazy)
    command.names_only = _names_only(argv)
    if "_ACR_COMPLETE" in os.environ:
        from typer._completion_classes import completion_init

        completion_init()
        command._main_shell_completion({}, "acr")
    with command.make_context("acr", argv, obj=tuple(after)) as context:
        command.invoke(context)
    return 0


def _complete_run() -> None:
    """An option right after `acr` is one of `run`: completion is told of that line instead."""
    for name in {"COMP_WORDS", "_TYPER_COMPLETE_ARGS"} & os.environ.keys():
        program, *rest = re.split(r"(?<=\s)(?=-)", os.environ[name], maxsplit=1)
        if rest and len(program.split()) == 1:
            os.environ[name] = f"{program}run {rest[0]}"
            if "COMP_CWORD" in os.environ:
                os.environ["COMP_CWORD"] = str(int(os.environ["COMP_CWORD"]) + 1)


def _refuse_typo(argv: list[str]) -> None:
    """A single word that nearly is a command is a slip, not a prompt that may cost money."""
    near = difflib.get_close_matches(argv[0], COMMANDS, 1, 0.75) if len(argv) == 1 else []
    if near and argv[0].isidentifier():
        raise UsageError(
            f"no command called {argv[0]!r}; did you mean `acr {near[0]}`? "
            f"As a prompt: acr run {argv[0]!r}"
        )


def _say(code: int, message: str) -> int:
    one_line = " ".join(message.split())
    sys.stderr.write(f"acr: {one_line}\n")
    return code


def _log_bug(argv: Sequence[str]) -> str:
    import platform
    import time
    import traceback

    from acr import __version__, settings

    path = settings.folder("logs") / time.strftime("bug-%Y%m%d-%H%M%S.log")
    command = argv[0] if argv and argv[0] in COMMANDS else "run"
    path.write_text(
        f"acr {__version__} {command}, Python {platform.python_version()}, "
        f"{platform.platform()}\n\n{traceback.format_exc()}"
    )
    return str(path)
