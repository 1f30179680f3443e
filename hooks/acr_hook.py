"""Notes one event of an agent in the spool."""

import json
import os
import sys

home = os.environ.get("ACR_HOME") or os.path.expanduser("~/.local/share/acr")
try:
    spool = os.path.join(home, "spool")
    os.makedirs(spool, mode=0o700, exist_ok=True)
    line = {**json.load(sys.stdin), "agent": sys.argv[1], "event": sys.argv[2]}
    with open(os.path.join(spool, "events.jsonl"), "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
except (OSError, ValueError, IndexError):
    pass
