"""The gauntlet's missions: messages nobody understands, of three difficulties, judged by what was installed.

    easy    the families the contract names
    middle  every operation of the curriculum, on objects of shapes never seen
    hard    wordings never seen with their operation, and messages beyond the mind's reach

Every noun is one that training never saw.  What is installed is right if it answers, changes and refuses as
the reference does in the message itself and in trials made up here; "installed and wrong" is counted over
all three.  The single greedy draft that the council is compared with is one greedy plan and one greedy
method of BRICK's for the same messages, without a threshold, a guardian, a rehearsal, an audit or a vote.  Numbers that were
chosen (thresholds, curves) were chosen on draws of other seeds, `TUNING` among them.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batos.errors import BatosError, MethodError
from batos.mind import dialect
from batos.mind.grammar import method_grammar, plan_grammar
from batos.mind.trials import generate_trials
from batos.psm.confidence import fitted
from scripts.benchmarks import REFUSALS, TRIALS, awake, behaves, drawn, on_the_wire, sent, wait_for_mind
from scripts.curriculum import OPERATIONS, PROTECTED, pair_held_out, samples
from scripts.gauntlet_rows import confidence_rows, row, share_row, time_row
from scripts.proving.telling import wilson

SEED, TUNING = 20_271, 104_271
LEVELS = ("easy", "middle", "hard", "beyond")
JUDGED_ON = 24  # trials of a greedy draft
AT_ONCE = 32  # prompts in a batch of them
Maker = Callable[[random.Random], samples.Sample]


@dataclass(slots=True)
class Ran:
    """What became of one message."""

    level: str
    outcome: str  # right, wrong, refused; of a message beyond reach answered or refused
    seconds: float
    told: dict[str, Any]
    shown: str


def _easy(rng: random.Random) -> samples.Sample:
    families = [(op, wording) for op in OPERATIONS for wording in op.wordings
                if PROTECTED.fullmatch(wording) and not op.calls]  # fmt: skip
    op, wording = rng.choice(families)
    return samples.draw(rng, operation=op, wording=wording, unseen=True, plain=True)


def _middle(rng: random.Random) -> samples.Sample:
    return samples.draw(rng, unseen=True, plain=True, shape="unseen")


def _hard(rng: random.Random) -> samples.Sample:
    pairs = [(op, wording) for op in OPERATIONS for wording in op.wordings if pair_held_out(wording, op)]
    op, wording = rng.choice(pairs)
    return samples.draw(rng, operation=op, wording=wording, unseen=True, plain=True, pairs="unseen")


def _beyond(rng: random.Random) -> samples.Sample:
    return samples.draw_refusal(rng, unseen=True)


MAKERS: dict[str, Maker] = {"easy": _easy, "middle": _middle, "hard": _hard, "beyond": _beyond}


def messages(level: str, count: int, seed: int) -> Iterator[tuple[samples.Sample, list[dict]]]:
    """`count` messages of a level with the trials their methods are judged in; the same for the same seed."""
    rng = random.Random(f"{level} {seed}")

    def draw(rng: random.Random, unseen: bool) -> samples.Sample:
        return MAKERS[level](rng)

    for sample in drawn(draw, rng, count):
        trials = generate_trials(sample.linked, TRIALS, rng)
        yield sample, [trial for trial in trials if on_the_wire(trial)]


def behaves_alike(sample: samples.Sample, source: str) -> bool:
    """Does a method do what is meant, in trials without an image?"""
    trials = generate_trials(sample.linked, JUDGED_ON, random.Random("greedy"))
    with contextlib.suppress(Exception):
        return samples.behave(source, sample.linked, trials) == samples.behave(
            sample.source(), sample.linked, trials
        )
    return False


def single_greedy(drawn_ones: list[samples.Sample]) -> list[str]:
    """What one greedy plan and one greedy method would have been for each: right, wrong, refused."""
    from batos.mind import EMBEDDED, Limits
    from batos.mind.loading import open_engine

    engine = open_engine(EMBEDDED / "base", EMBEDDED / "experts")

    def say(prompts: list[str], grammars: list[str], most: int) -> list[str]:
        said: list[str] = []
        for start in range(0, len(prompts), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            said += [
                each.text
                for each in engine.generate(prompts[part], "BRICK", grammars[part], Limits(max_tokens=most))
            ]
        return said

    linked = [each.linked for each in drawn_ones]
    planned = say(
        [dialect.plan_prompt(each) for each in linked], [plan_grammar(each) for each in linked], 120
    )
    came, going = ["refused"] * len(drawn_ones), []
    for i, text in enumerate(planned):
        with contextlib.suppress(ValueError):
            plan = dialect.parse_plan(text, linked[i])
            if plan["can"]:
                going.append((i, plan))
    bodies = say(
        [dialect.method_prompt(linked[i], plan) for i, plan in going],
        [method_grammar(linked[i]) for i, _ in going],
        240,
    )
    for (i, plan), body in zip(going, bodies, strict=True):
        with contextlib.suppress(ValueError):
            source = dialect.parse_method(body, linked[i], plan)
            beyond = drawn_ones[i].operation is None
            came[i] = "answered" if beyond else "right" if behaves_alike(drawn_ones[i], source) else "wrong"
    return came


def run(client: Any, level: str, count: int, seed: int) -> Iterator[Ran]:
    """Send the messages of a level, each to an object of its own."""
    for i, (sample, trials) in enumerate(messages(level, count, seed)):
        name = f"{level}_{seed}_{i}"
        took, reply = sent(client, name, sample.brief)
        told = client.send("kernel", "mission", reply.mission) if reply.mission else {}
        installed = reply.error is None or isinstance(reply.error, MethodError)
        if level == "beyond":
            outcome = "answered" if reply.error is None else "refused"
        elif not installed:
            outcome = "refused" if reply.error.code in REFUSALS else reply.error.code
        else:
            right = behaves(client, name, sample.brief["selector"], samples.compiled(sample.source()), trials)
            outcome = "right" if right else "wrong"
        shown = f"{level}: {sample.brief['selector']} {sample.brief['args']} to {sample.brief['slots']}"
        yield Ran(level, outcome, took, told, shown)


def missions(options: argparse.Namespace) -> None:
    """messages nobody understands, of three difficulties: right, refused, installed and wrong"""
    shares = dict(zip(LEVELS, (0.4, 0.4, 0.2, 0.1), strict=True))
    counts = {level: max(1, round(options.missions * share)) for level, share in shares.items()}
    ran: list[Ran] = []
    with awake() as one, one.client() as client, _record(options.record) as record:
        wait_for_mind(client)
        for level, count in counts.items():
            for each in run(client, level, count, options.seed):
                ran.append(each)
                record(each)
                if each.outcome not in ("right", "refused"):
                    print(f"gauntlet: {each.outcome}: {each.shown}", file=sys.stderr)
    within = [each for each in ran if each.level != "beyond"]
    for level in LEVELS[:3]:
        found = [each.outcome for each in within if each.level == level]
        share_row(f"missions, {level}: right", found.count("right"), len(found), "95 %")
    right, wrong = (sum(each.outcome == outcome for each in within) for outcome in ("right", "wrong"))
    share_row("missions, all three: right", right, len(within), "95 %")
    share_row("installed and wrong, of all installed", wrong, right + wrong, "under 1 %")
    row("... upper bound (Wilson, 95 %)", f"{wilson(wrong, right + wrong)[1]:.2%}")
    beyond = [each.outcome for each in ran if each.level == "beyond"]
    share_row("messages beyond its reach, refused", beyond.count("refused"), len(beyond))
    drawn_ones = {
        level: [each for each, _ in messages(level, n, options.seed)] for level, n in counts.items()
    }
    alone = {level: single_greedy(each) for level, each in drawn_ones.items()}
    greedy = [each for level in LEVELS[:3] for each in alone[level]]
    share_row(
        "the single greedy draft: wrong, of all it wrote",
        greedy.count("wrong"),
        len(greedy) - greedy.count("refused"),
    )
    row(
        "errors of the greedy draft : errors of the council",
        f"{greedy.count('wrong')} : {wrong}",
        "5 times fewer",
    )
    share_row(
        "the single greedy draft: messages beyond its reach, refused",
        alone["beyond"].count("refused"),
        len(beyond),
    )
    sure = [(each.told["confidence"], each.outcome == "right") for each in within
            if each.outcome in ("right", "wrong") and each.told.get("confidence") is not None]  # fmt: skip
    confidence_rows("confidence of what was installed", sure)
    if options.seed != SEED:
        scored = [(each.told["plans"][0]["logprob"], each.outcome == "right") for each in within
                  if each.outcome in ("right", "wrong")]  # fmt: skip
        row("the curve that fits this draw (psm.confidence.PLAN)", "{:.2f}, {:.2f}".format(*fitted(scored)))
    time_row("a mission", [each.seconds for each in within], "p50 1 s, p95 3 s")


@contextlib.contextmanager
def _record(path: Path | None) -> Iterator[Callable[[Ran], None]]:
    """Writes each run as a line of JSON, for whoever chooses a threshold; nothing without a path."""
    if path is None:
        yield lambda ran: None
        return
    with path.open("a") as file:

        def write(ran: Ran) -> None:
            told = {name: getattr(ran, name) for name in Ran.__dataclass_fields__}
            file.write(json.dumps(told, default=repr) + "\n")
            file.flush()

        yield write


# -- other words for what is known -----------------------------------------------------------------------


def paraphrases(options: argparse.Namespace) -> None:
    """other selectors for a method that is known, and selectors that only look like it"""
    from scripts.benchmarks import wait_for_embedder
    from scripts.paraphrases import cases

    same: list[str] = []
    other: list[str] = []
    with awake() as one, one.client() as client:
        wait_for_mind(client)
        wait_for_embedder(client)
        for i, case in enumerate(cases(held_out=options.seed != TUNING)):
            name = f"thing{i}"
            client.send("lobby", "clone", called=name, **case.slots)
            client.send(name, "define", case.source)
            try:
                client.send(name, case.selector, *case.args, timeout=60, miss="mission")
                learned = True
            except MethodError:
                learned = True
            except BatosError:
                learned = False
            alias = client.send(name, "versions", case.selector)[-1].get("alias") if learned else None
            came = "reused" if alias == case.known else "another method" if learned else "refused"
            (same if case.means else other).append(came)
            if came != "reused" and case.means or came == "reused" and not case.means:
                print(f"gauntlet: {case.selector} beside {case.known}: {came}", file=sys.stderr)
    share_row("other words for a known method: reused", same.count("reused"), len(same), "80 %")
    share_row("... a method of its own", same.count("another method"), len(same))
    share_row("... refused", same.count("refused"), len(same))
    share_row(
        "words that mean something else: wrongly reused", other.count("reused"), len(other), "under 1 %"
    )


# -- how sure it says it is ------------------------------------------------------------------------------


def calibration(options: argparse.Namespace) -> None:
    """what `ask` says of how sure it is, by road, beside how often it is right"""
    from batos.errors import NoMind
    from scripts.benchmarks import wait_for_embedder
    from scripts.questions import UNKNOWN, VERSION, exact, told

    version = VERSION if options.seed == SEED else VERSION + 7
    facts = told(60, version)
    questions = [(question, "passage", word) for _, question, word in facts]
    questions += [(question, "none", "") for question in UNKNOWN]
    questions += [(f"{each.text.rstrip('?')}?", "reflex", "") for each in exact(60, version)]
    questions += [(f"what is the balance of shop{n}?", "object", str(n)) for n in range(20)]
    held: dict[str, list[tuple[float, bool]]] = {}
    with awake() as one, one.client() as client:
        for n in range(20):
            client.send("lobby", "clone", called=f"shop{n}", balance=n)
        wait_for_embedder(client)
        for statement, _, _ in facts:
            client.send("kernel", "ask", statement, timeout=120)
        for text, road, word in questions:
            try:
                found = client.send("kernel", "ask", text, timeout=120)
            except NoMind:
                continue
            right = found["road"] == road and word in found["answer"]
            held.setdefault(found["road"], []).append((float(found["confidence"]), right))
    for road, pairs in held.items():
        confidence_rows(f"confidence of `ask`, {road}", pairs)
    if options.seed != SEED and "passage" in held:
        row("the curve that fits this draw (passages)", "{:.2f}, {:.2f}".format(*fitted(held["passage"])))
