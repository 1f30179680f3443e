"""Looks at a page with a real Chromium: screenshots, widths, what it complains about.

python -m tests.browser FILE FOLDER writes FOLDER/{desktop,phone}-{light,dark}.png.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-default-apps", "--disable-extensions", "--disable-dev-shm-usage", "--mute-audio",
    "--remote-debugging-pipe",
)  # fmt: skip
SIZES = {"desktop": (1280, 900), "phone": (390, 844)}
SCHEMES = ("light", "dark")
WIDER = """[...document.querySelectorAll('body *')]
  .filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('.scroll, .skip'))
  .map(e => e.tagName + ' ' + e.className + ' ' + e.textContent.slice(0, 40))"""


@dataclass(slots=True)
class Seen:
    """A page at one size, in one scheme."""

    width: int
    overflow: int
    """Pixels by which the page is wider than the window."""
    wider: list[str]
    """What reaches beyond the window."""
    png: bytes


@dataclass(slots=True)
class Browser:
    """A running Chromium with one empty page; spoken to by the DevTools protocol."""

    to: Any
    back: Any
    session: str = ""
    number: int = 0
    rest: list[bytes] = field(default_factory=lambda: [b""])
    """What was read and not yet told."""
    complaints: list[str] = field(default_factory=list)
    """Console messages, errors and failed or foreign requests, in order."""

    def ask(self, method: str, **params: Any) -> Any:
        """The result of a command. Raises RuntimeError when Chromium refuses it."""
        self.number += 1
        asked = {"id": self.number, "method": method, "params": params}
        if self.session:
            asked["sessionId"] = self.session
        self.to.write(json.dumps(asked).encode() + b"\0")
        self.to.flush()
        return self._until(lambda m: m.get("id") == self.number)

    def _until(self, fits: Any) -> Any:
        while True:
            message = self._next()
            self._hear(message)
            if fits(message):
                if "error" in message:
                    raise RuntimeError(str(message["error"]))
                return message.get("result", message.get("params"))

    def _next(self) -> Any:
        while b"\0" not in self.rest[-1]:
            more = self.back.read1(1 << 20)
            if not more:
                raise RuntimeError("chromium has ended")
            self.rest.append(more)
        raw, _, rest = b"".join(self.rest).partition(b"\0")
        self.rest = [rest]
        return json.loads(raw)

    def _hear(self, message: dict[str, Any]) -> None:
        method, params = message.get("method"), message.get("params", {})
        if method == "Runtime.consoleAPICalled":
            self.complaints.append(f"console: {params['args']}")
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(f"exception: {params['exceptionDetails']['text']}")
        elif method == "Log.entryAdded":
            self.complaints.append(f"log: {params['entry']['text']}")
        elif method == "Network.loadingFailed":
            self.complaints.append(f"failed: {params.get('blockedReason') or params['errorText']}")
        elif method == "Network.requestWillBeSent":
            url = params["request"]["url"]
            if not url.startswith(("file:", "data:")):
                self.complaints.append(f"request: {url}")

    def value(self, expression: str) -> Any:
        """What a JavaScript expression gives, as JSON data."""
        found = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in found:
            raise RuntimeError(str(found["exceptionDetails"]))
        return found["result"].get("value")

    def show(self, page: Path, size: str = "desktop", scheme: str = "light") -> Seen:
        """Loads a page and looks at all of it."""
        width, height = SIZES[size]
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height,
                 deviceScaleFactor=1, mobile=size == "phone")  # fmt: skip
        media = [{"name": "prefers-color-scheme", "value": scheme}]
        self.ask("Emulation.setEmulatedMedia", features=media)
        self.ask("Page.navigate", url=page.absolute().as_uri())
        self._until(lambda m: m.get("method") == "Page.loadEventFired")
        return Seen(
            width,
            self.value("document.scrollingElement.scrollWidth - innerWidth"),
            self.value(WIDER),
            self.picture(),
        )

    def picture(self) -> bytes:
        """The whole page as PNG."""
        shot = self.ask("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(shot["data"])

    def names(self) -> list[tuple[str, str]]:
        """(role, name) of everything that a screen reader is told of."""
        nodes = self.ask("Accessibility.getFullAXTree")["nodes"]
        return [
            (n["role"]["value"], n.get("name", {}).get("value", ""))
            for n in nodes
            if not n["ignored"]
        ]


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """A Chromium with a profile of its own, ended with all its processes."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    assert program, "chromium is missing; apt install chromium"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        out_of, into = os.pipe()
        back, answers = os.pipe()
        done = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{out_of} 4>&{answers}', "bash", program, *OPTIONS,
             f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(out_of, answers), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": profile},
        )  # fmt: skip
        os.close(out_of)
        os.close(answers)
        try:
            with open(into, "wb") as to, open(back, "rb") as answered:
                made = Browser(to, answered)
                target = made.ask("Target.createTarget", url="about:blank")["targetId"]
                made.session = made.ask("Target.attachToTarget", targetId=target, flatten=True)[
                    "sessionId"
                ]
                for domain in ("Page", "Runtime", "Log", "Network", "Accessibility"):
                    made.ask(f"{domain}.enable")
                yield made
                made.session = ""
                made.ask("Browser.close")
        finally:
            try:
                done.wait(10)
            except subprocess.TimeoutExpired:
                done.kill()
                done.wait()


def main(page: Path, folder: Path) -> None:
    """Takes the four screenshots and prints what is wrong."""
    folder.mkdir(parents=True, exist_ok=True)
    with browser() as looking:
        for size in SIZES:
            for scheme in SCHEMES:
                seen = looking.show(page, size, scheme)
                (folder / f"{size}-{scheme}.png").write_bytes(seen.png)
                print(size, scheme, f"overflow {seen.overflow} px", *seen.wider)
        print(*looking.complaints or ["no complaints"], sep="\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
