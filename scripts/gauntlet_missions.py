"""The gauntlet's missions: messages nobody understands, of three difficulties, judged by what was installed.

    easy    the families the contract names
    middle  every operation of the curriculum, on objects of shapes never seen
    hard    wordings never seen with their operation
    beyond  messages that no method of the mind's could answer

Every noun is one that training never saw.  What is installed is right if it answers, changes and refuses as
the reference does, in trials on the wire and in more of them here; "installed and wrong" is counted over all
three difficulties, and once more with every message beyond reach that was answered.  The single greedy draft
that the council is compared with is one greedy plan and one greedy method of BRICK's for the same messages,
judged by the same trials, without a threshold, a guardian, a rehearsal, an audit or a vote.  It installs more than
the council does; at equal coverage it keeps what it is surest of, by whichever of its own likelihoods errs less.
Numbers that were chosen (thresholds, curves) were chosen on draws of other seeds, `TUNING` among them.

With `--record FILE` every message is a line there as soon as it has ended, and one that is there is not sent
again: what was interrupted goes on where it stopped, and `--share 1/3`, `2/3`, `3/3` may run one after another
or beside each other.  The rows tell all that the file holds of the seed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
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
SHARES = {"easy": 0.4, "middle": 0.4, "hard": 0.2, "beyond": 0.1}
WITHIN = ("easy", "middle", "hard")
JUDGED_ON = 40  # trials without an image
AT_ONCE = 32  # prompts of greedy drafts in a batch
THRESHOLDS = (-3.0, -2.0, -1.5, -1.0, -0.8, -0.65, -0.5, -0.4, -0.3, -0.2, -0.1)
Maker = Callable[[random.Random], samples.Sample]


@dataclass(slots=True)
class Ran:
    """What became of one message."""

    seed: int
    level: str
    number: int
    outcome: str  # right, wrong, refused; of a message beyond reach answered or refused
    seconds: float
    confidence: float | None
    likelihood: float | None  # logarithm of the greedy plan's probability
    shown: str


@dataclass(slots=True)
class Alone:
    """What one greedy plan and one greedy method would have been for it, and how likely each was."""

    seed: int
    level: str
    number: int
    outcome: str
    plan: float = 0.0
    method: float = 0.0


class Record:
    """All messages that have run, by (seed, level, number), and all greedy drafts; kept in a file if there is one."""

    def __init__(self, path: Path | None):
        self._path = path
        self.ran: dict[tuple[int, str, int], Ran] = {}
        self.alone: dict[tuple[int, str, int], Alone] = {}
        for line in path.open() if path is not None and path.exists() else ():
            kept = json.loads(line)
            kept.pop("told", None)
            self._put(Alone(**kept) if "plan" in kept else Ran(**kept))

    def _put(self, each: Ran | Alone) -> None:
        (self.ran if isinstance(each, Ran) else self.alone)[each.seed, each.level, each.number] = each

    def add(self, each: Ran | Alone, **more: Any) -> None:
        self._put(each)
        if self._path is not None:
            with self._path.open("a") as file:
                file.write(json.dumps(asdict(each) | more, default=repr) + "\n")


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
    """Does a method do what is meant, in trials without an image?  Where the reference itself cannot, anything is."""
    trials = samples.trials_of(sample.linked, JUDGED_ON, random.Random(JUDGED_ON))
    right = samples.behave(sample.source(), sample.linked, trials)
    with contextlib.suppress(Exception):
        mine = samples.behave(source, sample.linked, trials)
        return all(one == other for one, other in zip(right, mine, strict=True) if one[0][0] != "failed")
    return False


def single_greedy(drawn_ones: list[samples.Sample]) -> Iterator[tuple[str, float, float]]:
    """What one greedy plan and one greedy method would have been for each: right, wrong, refused (beyond reach:
    answered), and the logarithms of their probabilities."""
    from batos.mind import EMBEDDED, Limits
    from batos.mind.loading import open_engine

    engine = open_engine(EMBEDDED / "base", EMBEDDED / "experts")
    for start in range(0, len(drawn_ones), AT_ONCE):
        part = drawn_ones[start : start + AT_ONCE]
        linked = [each.linked for each in part]
        planned = engine.generate(
            [dialect.plan_prompt(each) for each in linked], "BRICK", [plan_grammar(each) for each in linked],
            Limits(max_tokens=120),
        )  # fmt: skip
        came = [("refused", each.logprob, 0.0) for each in planned]
        going = []
        for i, each in enumerate(planned):
            with contextlib.suppress(ValueError):
                plan = dialect.parse_plan(each.text, linked[i])
                if plan["can"]:
                    going.append((i, plan))
        bodies = engine.generate(
            [dialect.method_prompt(linked[i], plan) for i, plan in going], "BRICK",
            [method_grammar(linked[i]) for i, _ in going], Limits(max_tokens=240),
        ) if going else []  # fmt: skip
        for (i, plan), body in zip(going, bodies, strict=True):
            with contextlib.suppress(ValueError):
                source = dialect.parse_method(body.text, linked[i], plan)
                beyond = part[i].operation is None
                outcome = "answered" if beyond else "right" if behaves_alike(part[i], source) else "wrong"
                came[i] = (outcome, planned[i].logprob, body.logprob)
        yield from came


def ran(
    client: Any, seed: int, level: str, number: int, sample: samples.Sample, trials: list[dict]
) -> tuple[Ran, dict]:
    """Send a message to an object of its own; what became of it, and its mission."""
    name = f"{level}_{seed}_{number}"
    took, reply = sent(client, name, sample.brief)
    told = client.send("kernel", "mission", reply.mission) if reply.mission else {}
    if reply.error is not None and not isinstance(reply.error, MethodError):  # nothing was installed
        outcome = "refused" if reply.error.code in REFUSALS else reply.error.code
    elif level == "beyond":
        outcome = "answered"
    else:
        right = behaves(client, name, sample.brief["selector"], samples.compiled(sample.source()), trials)
        right = right and behaves_alike(sample, told["method"]["source"])
        outcome = "right" if right else "wrong"
    shown = f"{level}: {sample.brief['selector']} {sample.brief['args']} to {sample.brief['slots']}"
    plans = told.get("plans") or [{"logprob": None}]
    return Ran(seed, level, number, outcome, took, told.get("confidence"), plans[0]["logprob"], shown), told


def missions(options: argparse.Namespace) -> None:
    """messages nobody understands, of three difficulties: right, refused, installed and wrong"""
    seed, record = options.seed, Record(options.record)
    share, shares = (int(each) for each in options.share.split("/"))
    counts = {level: max(1, round(options.missions * part)) for level, part in SHARES.items()}
    mine = [
        (seed, level, number, sample, trials)
        for level, count in counts.items()
        for number, (sample, trials) in enumerate(messages(level, count, seed))
        if number % shares == share - 1
    ]
    waiting = [each for each in mine if each[:3] not in record.ran]
    if waiting:
        with awake() as one, one.client() as client:
            wait_for_mind(client)
            if options.sure is not None:
                client.send("psm_prototypes_obj.DECOMPOSING", "put", "sure", options.sure)
            for each in waiting:
                came, told = ran(client, *each)
                record.add(came, told=told)
                if came.outcome not in ("right", "refused"):
                    print(f"gauntlet: {came.outcome}: {came.shown}", file=sys.stderr)
    waiting = [each for each in mine if each[:3] not in record.alone]
    for each, found in zip(waiting, single_greedy([each[3] for each in waiting]), strict=True):
        record.add(Alone(*each[:3], *found))
    told_rows(record, seed, counts)


def told_rows(record: Record, seed: int, counts: dict[str, int]) -> None:
    """The rows of a seed's messages, as far as they have run."""
    of = {level: [each for (s, at, n), each in record.ran.items() if (s, at) == (seed, level) and n < count]
          for level, count in counts.items()}  # fmt: skip
    alone = [each for (s, at, n), each in record.alone.items() if s == seed and n < counts.get(at, 0)]
    within = [each for level in WITHIN for each in of[level]]
    for level in WITHIN:
        found = [each.outcome for each in of[level]]
        share_row(f"missions, {level}: right", found.count("right"), len(found), "95 %")
    shown = [each.outcome for each in within if each.level != "hard"]
    share_row(
        "missions, nouns and shapes never seen (easy and middle): right",
        shown.count("right"),
        len(shown),
        "95 %",
    )
    right, wrong = (sum(each.outcome == outcome for each in within) for outcome in ("right", "wrong"))
    answered = sum(each.outcome == "answered" for each in of["beyond"])
    share_row("missions, all three: right", right, len(within), "95 %")
    share_row("installed and wrong, of all installed", wrong, right + wrong, "under 1 %")
    row("... upper bound (Wilson, 95 %)", f"{wilson(wrong, right + wrong)[1]:.2%}")
    share_row("messages beyond its reach, refused", len(of["beyond"]) - answered, len(of["beyond"]))
    share_row(
        "installed and wrong, every message beyond reach that was answered counted", wrong + answered,
        right + wrong + answered,
    )  # fmt: skip
    greedy = [each for each in alone if each.level in WITHIN and each.outcome != "refused"]
    worse = sum(each.outcome == "wrong" for each in greedy)
    over = sum(each.outcome == "answered" for each in alone)
    share_row("the single greedy draft: wrong, of all it wrote", worse, len(greedy))
    share_row("... messages beyond its reach, refused", len(of["beyond"]) - over, len(of["beyond"]))
    row(
        "errors of the greedy draft : of the council, each in what it installs",
        f"{worse} : {wrong}",
        "5 times fewer",
    )
    row("... messages beyond reach that were answered counted", f"{worse + over} : {wrong + answered}")
    surest = min(
        sum(each.outcome == "wrong" for each in sorted(greedy, key=by, reverse=True)[: right + wrong])
        for by in (lambda each: each.plan, lambda each: each.method, lambda each: each.plan + each.method)
    )
    row(f"... at equal coverage, the {right + wrong} it is surest of", f"{surest} : {wrong}", "5 times fewer")
    sure = [(each.confidence, each.outcome == "right") for each in within
            if each.outcome in ("right", "wrong") and each.confidence is not None]  # fmt: skip
    confidence_rows("confidence of what was installed", sure)
    if seed != SEED:
        installed = [
            each
            for each in (*within, *of["beyond"])
            if each.outcome != "refused" and each.likelihood is not None
        ]
        for least in THRESHOLDS:
            kept = [each.outcome == "right" for each in installed if each.likelihood >= least]
            share_row(
                f"with a plan of at least {least} (psm.decomposing.SURE): installed and wrong",
                kept.count(False),
                len(kept),
            )
        scored = [(each.likelihood, each.outcome == "right") for each in installed if each.level in WITHIN]
        row("the curve that fits this draw (psm.confidence.PLAN)", "{:.2f}, {:.2f}".format(*fitted(scored)))
    time_row("a mission", [each.seconds for each in within], "p50 1 s, p95 3 s")


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
