"""Methods that run away, sent as messages to a real image: each ends in time, its turn is as if it had never been,
and nobody else is kept from an answer meanwhile."""

from __future__ import annotations

import threading
import time

import pytest

from batos import Client
from batos.errors import BatosError

TURN_SECONDS = 1.0
SLACK = 1.5  # seconds a busy machine may take beyond it
# name -> (body, the codes it may end with)
RUNAWAYS = {
    "a loop": ("n = 0\n    while n >= 0:\n        n += 1", {"deadline"}),
    "a loop that swallows every error": (
        "n = 0\n    while n >= 0:\n        try:\n            n = n + 1 // 0\n        except Exception:\n            n = 0",
        {"deadline"},
    ),
    "a comprehension": ("return [n for n in itertools.count() if n < 0]", {"deadline", "method_error"}),
    "sends without end": ("while self.balance:\n        self.one()", {"deadline"}),
    "a recursion": ("return self.run_away()", {"method_error"}),
    "two that call each other": ("return self.other()", {"method_error"}),
    "a list that grows": ("rows = []\n    while True is True:\n        rows.append(str(len(rows)) * 100)", {"deadline", "method_error"}),
    "texts kept by the thousand": ("rows = []\n    while True is True:\n        rows.append('x' * 3_999_000 + str(len(rows)))", {"deadline", "method_error"}),
    "a text that doubles": ("t = 'x'\n    while t:\n        t = t + t", {"method_error"}),
    "a number that squares": ("n = 3\n    while n:\n        n = n * n", {"method_error", "deadline"}),
    "a power of a power": ("return 9 ** 9 ** 9", {"method_error"}),
    "a sum of everything": ("return sum(range(10 ** 12))", {"deadline", "method_error"}),
    "a list of everything": ("return sorted(range(10 ** 10))", {"deadline", "method_error"}),
}  # fmt: skip


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    from scripts.living import Awake, free_tcp_endpoint

    one = Awake(
        tmp_path_factory.mktemp("runaways") / "image", free_tcp_endpoint(),
        environ={"BATOS_TURN_SECONDS": str(TURN_SECONDS), "BATOS_HEARTBEAT": "no"},
    )  # fmt: skip
    try:
        yield one.start()
    finally:
        one.end()


@pytest.fixture(scope="module")
def account(image):
    with Client(image.endpoint) as client:
        client.send("lobby", "clone", called="account", balance=100, rows=[1])
        client.send("account", "define", "def one(self):\n    return 1\n")
        client.send("account", "define", "def other(self):\n    return self.run_away()\n")
        yield client


def resident(pid):
    """Megabytes of memory a process holds."""
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmRSS"))


@pytest.mark.parametrize("body, codes", RUNAWAYS.values(), ids=RUNAWAYS)
def test_a_runaway_ends_and_leaves_nothing_while_others_are_answered(image, account, body, codes):
    account.send(
        "account", "define", f"def run_away(self):\n    self.balance = 0\n    self.balance = 5\n    {body}\n"
    )
    pings, memory, stop = [], [resident(image.pid)], threading.Event()

    def ask():
        with Client(image.endpoint) as other:
            while not stop.is_set():
                began = time.monotonic()
                other.send("kernel", "ping")
                pings.append(time.monotonic() - began)
                memory.append(resident(image.pid))
                time.sleep(0.005)

    asking = threading.Thread(target=ask)
    asking.start()
    began = time.monotonic()
    try:
        with pytest.raises(BatosError) as told:
            account.send("account", "run_away", miss="error", timeout=20)
        took = time.monotonic() - began
    finally:
        stop.set()
        asking.join()
    assert told.value.code in codes, str(told.value)
    assert took < TURN_SECONDS + SLACK
    assert account.send("account", "balance") == 100 and account.send("account", "rows") == [1]
    pings.sort()
    p99, grown = pings[int(0.99 * (len(pings) - 1))], max(memory) - memory[0]
    print(
        f"{told.value.code} after {took:.2f} s, {len(pings)} pings, p99 {p99 * 1000:.0f} ms, {grown:.0f} MB"
    )
    assert p99 < 0.5 and grown < 1500  # a gigabyte, and what is made between two glances
