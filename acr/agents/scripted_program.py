"""The program behind the scripted agent: does what a JSON file says. No model is called.

Run as `python -I -S scripted_program.py --script FILE --model MODEL`, prompt on stdin. The file
maps models to what they do: {"models": {"MODEL": {"steps": [STEP, …], "usage": {…}, "cost":
0.01}}}. A STEP is one of {"write": PATH, "text": TEXT}, {"delete": PATH}, {"shell": COMMAND},
{"say": TEXT}, {"sleep": SECONDS}, {"error": TEXT}, {"deny": TOOL}, {"exit": CODE}. Paths are
relative to the working folder. "when": TEXT runs a step only if the prompt contains TEXT.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from typing import Any


def emit(kind: str, **fields: object) -> None:
    """One event line."""
    sys.stdout.write(json.dumps({"type": kind, **fields}) + "\n")
    sys.stdout.flush()


def write(path: str, text: str) -> None:
    """Writes a file below the working folder."""
    if os.path.dirname(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def do(step: dict[str, Any]) -> int | None:
    """Does one step; returns an exit code when it ends the run, else None."""
    if "write" in step:
        emit("tool", text="write " + step["write"])
        write(step["write"], step["text"])
    elif "delete" in step:
        emit("tool", text="delete " + step["delete"])
        os.unlink(step["delete"])
    elif "shell" in step:
        emit("tool", text=step["shell"])
        subprocess.run(["sh", "-c", step["shell"]], check=False, stdout=subprocess.DEVNULL)
    elif "say" in step:
        emit("text", text=step["say"])
    elif "sleep" in step:
        time.sleep(step["sleep"])
    elif "deny" in step:
        emit("denied", text=step["deny"])
    elif "error" in step:
        emit("error", text=step["error"])
        return 1
    elif "exit" in step:
        return int(step["exit"])
    return None


def main() -> int:
    """Runs the model's steps and reports its usage."""
    options = argparse.ArgumentParser()
    options.add_argument("--script", required=True)
    options.add_argument("--model", required=True)
    options.add_argument("--session", default="")
    asked, _ = options.parse_known_args()
    prompt = sys.stdin.read()
    with open(asked.script, encoding="utf-8") as file:
        part = json.load(file)["models"].get(asked.model, {})
    session = asked.session or f"scripted-{os.getpid()}"
    emit("start", session=session, model=asked.model)
    code, message = 0, part.get("message", "")
    for step in part.get("steps", []):
        if step.get("when", "") in prompt:
            message = part.get("message") or step.get("say", message)
            ended = do(step)
            if ended is not None:
                code = ended
                break
    emit("end", usage=part.get("usage", {}), cost=part.get("cost"), message=message)
    return code


if __name__ == "__main__":
    sys.exit(main())
