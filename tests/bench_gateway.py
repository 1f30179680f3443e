"""What the gateway costs: added latency, memory, eight agents at once.

    python -m tests.bench_gateway

A loopback server answers each call at once with a short event stream, in a process of its own;
the client, in a third, asks it directly and through the gateway by turns, over kept connections,
with requests as coding agents send them; every other call is routed. Latency is to the last byte.
Other work on the machine shows in the wall times, hardly in the processor's.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from acr.gateway import process
from acr.settings import GatewaySettings
from tests.gateway.conftest import tier_map

PATH = "/v1/messages"
EVENTS = 20
"""In an answer."""


def answer() -> bytes:
    """An event stream as Anthropic's API sends it."""
    usage = {"input_tokens": 600, "cache_read_input_tokens": 400, "output_tokens": 1}
    message = {"model": "mock-tiny", "usage": usage}
    delta = {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "word " * 8}}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": message},
        *[delta] * EVENTS,
        {"type": "message_delta", "usage": {"output_tokens": 50}},
        {"type": "message_stop"},
    ]
    return b"".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in events)


def request(size: int) -> bytes:
    """A request of about `size` bytes."""
    said = [{"role": "user", "content": "x" * 1000}] * (size // 1000)
    return json.dumps({"model": "mock-big", "stream": True, "messages": said}).encode()


async def serve() -> None:
    """Answers whatever comes, over kept connections; prints its port."""
    raw = answer()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n"
    whole = head % len(raw) + raw

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            size = 0
            while (line := await reader.readline()) not in (b"\r\n", b""):
                if line.lower().startswith(b"content-length:"):
                    size = int(line.partition(b":")[2])
            await reader.readexactly(size)
            writer.write(whole)
            await writer.drain()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, limit=1 << 20)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


@dataclass
class Route:
    """A way to the model server."""

    connection: http.client.HTTPConnection
    path: str

    @classmethod
    def to(cls, address: str) -> Route:
        """The way that begins at `address`."""
        parts = urlsplit(address)
        return cls(http.client.HTTPConnection(str(parts.netloc), timeout=60), parts.path + PATH)

    def ask(self, body: bytes) -> float:
        """Seconds from the request to the last byte of its answer."""
        began = time.perf_counter()
        self.connection.request("POST", self.path, body, {"Content-Type": "application/json"})
        response = self.connection.getresponse()
        raw = response.read()
        took = time.perf_counter() - began
        assert response.status == 200
        assert raw.endswith(b'data: {"type": "message_stop"}\n\n')
        return took


@contextmanager
def model_server() -> Iterator[str]:
    """The address of a model server in a process of its own."""
    argv = [sys.executable, "-m", "tests.bench_gateway", "--serve"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        try:
            yield f"http://127.0.0.1:{int(child.stdout.readline())}"
        finally:
            child.terminate()


def resident(pid: int) -> float:
    """MiB that a process holds in memory."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def processor(pid: int) -> float:
    """Seconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def at(times: list[float], share: float) -> float:
    """The quantile of times, in ms."""
    return 1000 * sorted(times)[min(len(times) - 1, int(share * len(times)))]


def told(rounds: list[tuple[list[float], list[float]]]) -> str:
    """What p50 and p99 grew by: the median round, and the one that others disturbed least."""
    parts = []
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        grown = sorted(at(through, share) - at(direct, share) for direct, through in rounds)
        parts.append(f"added {name} {statistics.median(grown):.2f} ms (least {grown[0]:.2f})")
    return ", ".join(parts)


def latency(url: str, gateway: process.Started, size: int, n: int, rounds: int) -> None:
    """Calls by turns, direct and through."""
    body, routes = request(size), (Route.to(url), Route.to(gateway.address("mock")))
    for route in routes * 20:
        route.ask(body)
    began, found = processor(gateway.pid), []
    for _ in range(rounds):
        direct, through = zip(*([r.ask(body) for r in routes] for _ in range(n)), strict=True)
        found.append((list(direct), list(through)))
    used = 1000 * (processor(gateway.pid) - began) / (n * rounds)
    print(
        f"{size // 1000:>4} kB, {rounds} x {n} calls: {told(found)}; "
        f"processor {used:.2f} ms a call; load {os.getloadavg()[0]:.1f}",
        flush=True,
    )


def together(
    url: str, gateway: process.Started, size: int, n: int, rounds: int, agents: int = 8
) -> None:
    """As many threads as agents, each with a connection of its own."""
    body, found = request(size), []
    for _ in range(rounds):
        both: list[list[float]] = [[], []]
        for times, address in zip(both, (url, gateway.address("mock")), strict=True):

            def work(address: str = address, times: list[float] = times) -> None:
                route = Route.to(address)
                for _ in range(n // agents):
                    times.append(route.ask(body))
                    time.sleep(0.05)  # an agent runs its tool

            threads = [threading.Thread(target=work) for _ in range(agents)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        found.append((both[0], both[1]))
    print(f"{agents} agents at once, {rounds} x {n} calls: {told(found)}", flush=True)


def memory(gateway: process.Started, n: int) -> None:
    """Resident memory over many calls."""
    body, route, marks = request(20_000), Route.to(gateway.address("mock")), []
    for number in range(n + 1):
        if number % (n // 5) == 0:
            marks.append(resident(gateway.pid))
        route.ask(body)
    print(f"{n} calls: {' '.join(f'{mark:.1f}' for mark in marks)} MiB resident", flush=True)


def main() -> None:
    """Prints a line a figure."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--serve", action="store_true", help="be the model server")
    options.add_argument("--calls", type=int, default=400, help="in a round")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--memory", type=int, default=10_000)
    chosen = options.parse_args()
    if chosen.serve:
        asyncio.run(serve())
    with tempfile.TemporaryDirectory() as home, model_server() as url:
        os.environ["ACR_HOME"] = home
        tier_map(Path(home))
        limits = GatewaySettings(router="frontier,minimal")
        with process.start(process.config(limits, {"mock": url})) as gateway:
            for size in (10_000, 100_000, 1_000_000):
                latency(url, gateway, size, chosen.calls, chosen.rounds)
            together(url, gateway, 100_000, chosen.calls, chosen.rounds)
            memory(gateway, chosen.memory)


if __name__ == "__main__":
    main()
