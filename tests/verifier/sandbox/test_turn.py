"""Only so many sandboxes run at a time, and a place whose holder is gone is free."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

from acr.verifier.sandbox.turn import turn

HOLD = """
from acr.verifier.sandbox.turn import turn
with turn(1):
    print("holds", flush=True)
    input()
"""


def test_no_more_than_so_many_have_their_turn_at_once() -> None:
    now, most, lock = [0], [0], threading.Lock()
    met = threading.Barrier(2)

    def work() -> None:
        with turn(2):
            with lock:
                now[0] += 1
                most[0] = max(most[0], now[0])
            met.wait(30)
            with lock:
                now[0] -= 1

    workers = [threading.Thread(target=work) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert most == [2]


def test_a_killed_holder_holds_nobody_up() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"holds\n"
        free = threading.Event()

        def wait() -> None:
            with turn(1):
                free.set()

        waiter = threading.Thread(target=wait)
        waiter.start()
        assert not free.wait(0.3)
        holder.send_signal(signal.SIGKILL)
        assert free.wait(30)
        waiter.join(30)
