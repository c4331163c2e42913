"""The gauntlet: questions with exact graders, told as k of n with Wilson intervals: `scripts/gauntlet`.

Graders compare values or look for the one word that must be there; nothing is judged by another mind.
Times are those of a client with an open connection, on this machine, with whatever else it was doing:
the load is printed.  The sets have a version (`questions.VERSION`).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import socket
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit

from batos import AsyncClient
from batos.errors import BatosError, NoMind, Refused
from batos.message import Message
from batos.psm.budget import Budget, Cost, Price
from scripts.benchmarks import awake, machine, wait_for_embedder, wait_for_mind
from scripts.gauntlet_missions import SEED, calibration, missions, paraphrases
from scripts.gauntlet_rows import row, share_row, time_row
from scripts.questions import UNKNOWN, VERSION, Question, agrees, exact, nearly, told
from scripts.strangers import TODAY, doubtful, strangers

PARTS: dict[str, Callable[[argparse.Namespace], None]] = {}
LONG = {"load"}


def part(function: Callable[[argparse.Namespace], None]) -> Callable[[argparse.Namespace], None]:
    """Add a part under its own name; its docstring is its help."""
    PARTS[function.__name__] = function
    return function


# -- parts -------------------------------------------------------------------------------------------------


def graded(questions: Iterable[Question], *today: Callable[[], date]) -> tuple[Counter[str], dict[str, list[float]]]:
    """How many reflexes answered right, wrong and not at all, and how long they took, by kind; what is wrong is told."""
    from batos.psm.reflexes import answer

    came: Counter[str] = Counter()
    took: dict[str, list[float]] = defaultdict(list)
    for each in questions:
        began = time.perf_counter()
        found = answer(each.text, *today)
        took[each.kind].append(time.perf_counter() - began)
        if each.answer is None:  # nothing may answer; "that does not follow" answers nothing
            how = "silent" if found is None or found.value is None else "wrong"
        else:
            how = "silent" if found is None else "right" if agrees(each, found.value) else "wrong"
        came[how] += 1
        if how == "wrong":
            print(f"gauntlet: wrong: {each.text!r} -> {found}", file=sys.stderr)
    return came, took


@part
def reflexes(options: argparse.Namespace) -> None:
    """exact questions, and texts that only look like them"""
    from batos.psm.reflexes import answer

    for warm in ("1 + 1", "solve x + 1 = 2", "convert 1 km to miles"):
        answer(warm)
    count = options.questions
    came, took = graded(exact(count))
    share_row("exact questions answered right", came["right"], count)
    share_row("exact questions answered wrong", came["wrong"], count, "0")
    came, passed = graded(nearly(count))
    share_row("texts that only look like them, answered", came["wrong"], count, "0")
    came, _ = graded(strangers(count, options.seed), lambda: TODAY)
    said = came["right"] + came["wrong"]
    share_row("a stranger's exact questions (SymPy, pint, datetime) that were answered", said, count)
    share_row("... of the answered, wrong", came["wrong"], said, "0")
    came, _ = graded(doubtful(count, options.seed), lambda: TODAY)
    share_row("texts that mean two things or none, answered", came["wrong"], count, "0")
    time_row("a reflex, arithmetic, warm", took["arithmetic"] + took["percentage"], "p95 5 ms")
    time_row("a reflex, algebra, warm", took["algebra"], "p95 25 ms")
    time_row("the router without the embedder: what only looks like a question for reflexes is passed on",
             passed["none"], "p95 1 ms")  # fmt: skip


@part
def sessions(options: argparse.Namespace) -> None:
    """facts told once, asked for in another conversation after a restart; and what nobody told"""
    facts = told(60)
    with awake() as one:
        with one.client() as client:
            for statement, _, _ in facts:
                client.send("kernel", "ask", statement, timeout=120)
        one.stop()
        one.start()
        with one.client() as client:
            wait_for_embedder(client)
            right, cited, took = 0, 0, []
            for _, question, word in facts:
                began = time.perf_counter()
                try:
                    found = client.send("kernel", "ask", question, timeout=120)
                except NoMind:
                    continue
                finally:
                    took.append(time.perf_counter() - began)
                right += word in found["answer"]
                cited += any(word in each["text"] for each in found["sources"])
            refused = 0
            for question in UNKNOWN:
                try:
                    client.send("kernel", "ask", question, timeout=120)
                except NoMind:
                    refused += 1
    share_row("facts told once, answered after a restart", right, len(facts))
    share_row("... with the fact among the passages cited", cited, len(facts))
    share_row("questions nobody told anything about, refused", refused, len(UNKNOWN))
    time_row("ask, by the fractal memory", took)


@part
def routing(options: argparse.Namespace) -> None:
    """which road a question takes: reflex, object, memory, kept words, none"""
    questions = [(each.text, "reflex") for each in exact(60, VERSION + 1)]
    questions += [(each.text, "none") for each in nearly(60, VERSION + 1)]
    for n in range(20):
        questions.append((f"what is the balance of shop{n}?", "object"))
        questions.append((f"how many tags does shop{n} have?", "object"))
        questions.append((f"what is the colour of shop{n}?", "none"))
        questions.append((f"shop{n}'s owner?", "object"))
    taken: Counter[tuple[str, str]] = Counter()
    with awake() as one, one.client() as client:
        for n in range(20):
            client.send("lobby", "clone", called=f"shop{n}", balance=n, tags=["a"] * n, owner="Ada")
        wait_for_embedder(client)
        took = []
        for text, road in questions:
            if not text.endswith("?"):
                text += "?"  # what asks nothing would be remembered
            began = time.perf_counter()
            try:
                found = client.send("kernel", "ask", text, timeout=120)["road"]
            except NoMind:
                found = "none"
            took.append(time.perf_counter() - began)
            taken[road, found] += 1
            if found != road:
                print(f"gauntlet: {text!r} went to {found}, not {road}", file=sys.stderr)
    for road in ("reflex", "object", "none"):
        share_row(f"questions for {road} that went there", taken[road, road],
                  sum(n for (wanted, _), n in taken.items() if wanted == road))  # fmt: skip
    time_row("ask, all roads, with the commit of the turn", took)


part(missions)
part(paraphrases)
part(calibration)


def raced(budget: Budget, mission: str, racers: int = 32) -> float:
    """US dollars that so many threads at once spend of one mission's purse, each at most 0.004."""
    spent: list[float] = []

    def race(seed: str) -> None:
        with contextlib.suppress(Refused), budget.spending(Cost(1, 0.1, 0.004), mission) as cost:
            cost.tokens, cost.usd = 1, random.Random(seed).uniform(0.001, 0.004)
            spent.append(cost.usd)

    threads = [threading.Thread(target=race, args=(f"{mission}/{n}",)) for n in range(racers)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return sum(spent)


@part
def budgets(options: argparse.Namespace) -> None:
    """races of 32 requests for one purse: what is spent past the limit"""
    import tempfile
    from pathlib import Path

    from batos.app import Image
    from batos.config import Settings

    over, rounds = 0, options.races
    with (
        tempfile.TemporaryDirectory() as folder,
        Image.open(Path(folder), Settings(image=Path(folder))) as image,
    ):
        budget = Budget(image, price=Price(1.0, 1.0))
        image.run("a day without end", lambda root: root["budget_obj"].limits["day"].update({"usd": None}))
        for number in range(rounds):
            over += raced(budget, f"m{number}") > 0.05 + 1e-9
    share_row("races of 32 requests that spent past the limit", over, rounds, "0")


HUGE = [
    b"\xff" * 100, b"{" * 100_000, b"[" * 1_000_000, b'{"to": "account"' * 1000, b"\x00" * 5_000_000,
    b'{"to":"account","send":"put","args":["x",' + b"9" * 500_000 + b"]}",
    b'{"to":"' + b"a." * 100_000 + b'","send":"balance"}', b'{"to":"account","send":"' + b"x" * 1_000_000 + b'"}',
    b'{"to":"account","send":"balance","timeout":1e999}', b'{"to":"account","send":"balance","args":{}}',
    b'{"to":{"oid":"0x' + b"f" * 10_000 + b'"},"send":"balance"}', '{"to":"acc\u200bount","send":"balance"}'.encode(),
    b'{"to":"account","send":"__class__"}', b'{"to":"account","send":"balance","stream":5}', b"\xdf\xff\xff\xff\xff",
]  # fmt: skip


@part
def hostile(options: argparse.Namespace) -> None:
    """frames and questions that would hurt: each is refused, and others notice nothing"""
    import zmq

    with awake() as one, one.client() as client:
        client.send("lobby", "clone", called="account", balance=100)
        context = zmq.Context()
        answered = 0
        for n in range(options.hostile):
            door = context.socket(zmq.REQ)
            door.setsockopt(zmq.LINGER, 0)
            door.connect(one.endpoint)
            door.send(HUGE[n % len(HUGE)])
            answered += bool(door.poll(5000)) and b"error" in door.recv()
            door.close()
        where = urlsplit(one.endpoint)
        for n in range(options.hostile):  # not even ZeroMQ
            with socket.create_connection((where.hostname, where.port), timeout=5) as raw:
                raw.sendall(random.Random(n).randbytes(200))
        context.destroy(0)
        questions = ["9" * 15_000 + " + 1", "(" * 9000, "what is " * 2000 + "?", "\x00\x01 \ud7ff?", "2^" * 500 + "2",
                     "é" * 19_999 + "?", "solve " + "+".join(["x^12"] * 100) + " = 0", "' OR 1=1 --?"]  # fmt: skip
        took = []
        for text in questions:
            began = time.perf_counter()
            try:
                client.send("kernel", "ask", text, timeout=60)
            except BatosError:
                pass
            took.append(time.perf_counter() - began)
        assert client.send("account", "balance") == 100
        alive = client.send("kernel", "ping") == "pong"
    share_row("hostile frames answered with an error", answered, options.hostile, "all")
    time_row("hostile and huge questions", took)
    row("afterwards the image answers", "yes" if alive else "no", "yes")


NOUNS = "anchors beacons candles drums easels ferns goblets hammers ingots jars".split()


@part
def reaction(options: argparse.Namespace) -> None:
    """how soon a cancel and a `ping` are answered while missions think, and what the router does with the embedder"""
    with awake() as one, one.client() as client:
        wait_for_mind(client)
        wait_for_embedder(client)
        for statement, _, _ in told(60):
            client.send("kernel", "ask", statement, timeout=60)
        took = []
        for text in UNKNOWN * 5:
            began = time.perf_counter()
            client.send("kernel", "recall", text, timeout=60)
            took.append(time.perf_counter() - began)
        cancelled, pings = asyncio.run(_react(one.endpoint, 150))
    time_row("the router with the embedder: whether anything that is remembered answers", took, "p95 40 ms")
    time_row("a mission cancelled at a random moment: its sender is answered", cancelled, "100 ms")
    time_row("`kernel ping` meanwhile", pings, "p99 50 ms")


async def _react(endpoint: str, count: int) -> tuple[list[float], list[float]]:
    rng = random.Random(count)
    cancelled: list[float] = []
    async with AsyncClient(endpoint) as client, _pinging(endpoint, 0.01) as pings:
        for n in range(count):
            name, noun = f"case{n}", rng.choice(NOUNS)
            await client.send("lobby", "clone", called=name, **{noun: 4})
            sent = asyncio.create_task(client.call(Message(name, f"add_{noun}", [3], id=f"react-{n}", timeout=60)))
            await asyncio.sleep(rng.uniform(0, 0.3))
            began = time.perf_counter()
            await client.send("kernel", "cancel", f"react-{n}")
            error = (await sent).error
            if error is not None and error.code == "cancelled":  # the others were learned before
                cancelled.append(time.perf_counter() - began)
    return cancelled, pings


@contextlib.asynccontextmanager
async def _pinging(endpoint: str, every: float) -> AsyncIterator[list[float]]:
    """The seconds `kernel ping` takes meanwhile, asked `every` so many."""
    pings: list[float] = []

    async def ping() -> None:
        async with AsyncClient(endpoint) as client:
            while True:
                began = time.perf_counter()
                await client.send("kernel", "ping")
                pings.append(time.perf_counter() - began)
                await asyncio.sleep(every)

    task = asyncio.create_task(ping())
    try:
        yield pings
    finally:
        task.cancel()
        await asyncio.wait([task])


LEARNED = """def deposit(self, amount):
    self.balance = self.balance + amount
    return self.balance
"""


@part
def load(options: argparse.Namespace) -> None:
    """50 clients, 20 messages a second together, one in a hundred nobody understands"""
    with awake() as one:
        with one.client() as client:
            for n in range(50):
                client.send("lobby", "clone", called=f"till{n}", balance=0)
                client.send(f"till{n}", "define", LEARNED)
            wait_for_mind(client)
        understood, missions, lost, balances, pings = asyncio.run(_load(one.endpoint, options.minutes * 60))
        with one.client() as client:
            kept = sum(client.send(f"till{n}", "balance") == balances[n] for n in range(50))
            stuck = client.send("kernel", "stats")["waiting"] - 1  # this question waits for its answer too
    time_row("understood messages under load", understood, "p95 20 ms")
    time_row("`kernel ping` under load", pings, "p99 50 ms")
    time_row("missions under load", [took for took, _ in missions], "p50 1 s, p95 3 s")
    row(
        "... how they ended",
        ", ".join(f"{n} {how}" for how, n in Counter(how for _, how in missions).most_common()),
    )
    row("messages lost, messages stuck", f"{lost}, {stuck}", "0, 0")
    share_row("tills with every deposit that was answered", kept, 50, "all")


async def _load(
    endpoint: str, seconds: float
) -> tuple[list[float], list[tuple[float, str]], int, list[int], list[float]]:
    understood: list[float] = []
    missions: list[tuple[float, str]] = []
    lost = [0]
    balances = [0] * 50
    end = time.monotonic() + seconds

    async def talk(n: int) -> None:
        rng = random.Random(n)
        async with AsyncClient(endpoint) as client:
            count = 0
            await asyncio.sleep(rng.uniform(0, 2.5))
            while time.monotonic() < end:
                count += 1
                began = time.perf_counter()
                try:
                    if (count * 50 + n) % 100 == 0:
                        noun = rng.choice(NOUNS)
                        name = f"shelf_{n}_{count}"
                        await client.send("lobby", "clone", called=name, **{noun: 4})
                        began = time.perf_counter()
                        how = "learned"
                        try:
                            await client.send(name, f"add_{noun}", 3, timeout=60)
                        except BatosError as exc:
                            how = exc.code
                        missions.append((time.perf_counter() - began, how))
                    elif count % 2:
                        amount = rng.randrange(1, 9)
                        await client.send(f"till{n}", "deposit", amount, timeout=60)
                        balances[n] += amount
                        understood.append(time.perf_counter() - began)
                    else:
                        await client.send(f"till{n}", "balance", timeout=60)
                        understood.append(time.perf_counter() - began)
                except BatosError:
                    lost[0] += 1
                await asyncio.sleep(max(0.0, rng.uniform(2.0, 3.0) - (time.perf_counter() - began)))

    async with _pinging(endpoint, 0.1) as pings:
        await asyncio.gather(*(talk(n) for n in range(50)))
    return understood, missions, lost[0], balances, pings


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/gauntlet", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(["parts:", *(f"  {name:<10} {run.__doc__}{' (long)' * (name in LONG)}" for name, run in PARTS.items())]),
    )  # fmt: skip
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help="of those below; all but the long ones if none is named"
    )
    parser.add_argument("--questions", type=int, default=2000, help="for the reflexes (default %(default)s)")
    parser.add_argument("--races", type=int, default=1000, help="for the budgets (default %(default)s)")
    parser.add_argument("--hostile", type=int, default=300, help="frames (default %(default)s)")
    parser.add_argument("--minutes", type=float, default=5.0, help="of load (default %(default)s)")
    parser.add_argument("--missions", type=int, default=200, help="messages nobody understands (default %(default)s)")
    parser.add_argument("--seed", type=int, default=SEED, help="of the missions (default %(default)s)")
    parser.add_argument(
        "--record", type=Path, help="a file for every mission with all its drafts, a line each; what is in it is not run again"
    )
    parser.add_argument(
        "--share", default="1/1", metavar="K/N", help="only every Nth mission, from the Kth (default all)"
    )
    parser.add_argument("--sure", type=float, help="how likely a plan must be, as a logarithm, to go on with it")
    options = parser.parse_args()
    for name in options.parts:
        if name not in PARTS:
            parser.error(f"there is no part {name!r}; there are {', '.join(PARTS)}")
    print(f"{machine()}; sets of version {VERSION}\n\n| what | measured | goal |\n|---|---|---|", flush=True)
    for name in options.parts or [name for name in PARTS if name not in LONG]:
        print(f"gauntlet: {name}", file=sys.stderr)
        PARTS[name](options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
