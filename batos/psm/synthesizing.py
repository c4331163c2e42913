"""SYNTHESIZING: the drafts become one method.  Entry: drafts.  Exits: agreed; disagreed (another round); gave_up.

Each draft passes the guardian, then all that passed run in the walled child on the actual message
and on generated states and arguments; equal behaviour is one cluster (`council`).  ALFRED audits the
largest clusters, ROBIN tells each in a sentence; a clear majority that nobody objects to wins,
otherwise more voices draft, with the trials before them in which the behaviours so far differ, as long as a
round brings anything new and at most `rounds` times.  Where the winner does what a method of the
receiver with a like name does (`psm.kin`), an alias of that is installed and no second method.
"""

from __future__ import annotations

import random
from typing import Any

from batos.mind import dialect
from batos.mind.engine import Limits
from batos.mind.grammar import audit_grammar, retell_grammar
from batos.mind.trials import generate_trials
from batos.objects.method import digest, primitive
from batos.objects.plain import NotPlain, encode, oid_text
from batos.psm import confidence, council, facets, weaving
from batos.psm.mission import Miss
from batos.psm.states import tools

SOURCE = '''def _process_synthesis_(self):
    """Judge, rehearse and compare the drafts; one behaviour must have the majority."""
    return self.weave_()
'''
META_PROMPT = dialect.AUDIT_META
ROUNDS = 3
TRIALS = 16
KIN_TRIALS = 40  # where a known method may be meant: "starts with" and "contains" look alike for long
AUDITED = 2  # clusters; of five drafts no third one can have the majority
TOKENS = 100
# Log-probability of an audit of the embedded mind's, below which the auditor is guessing and objects to nothing.  Of
# 760 right drafts and 54 others on tuning seeds it found 13 unsound: 12 right ones, and one of the others, far below.
SURE = -0.4
REHEARSAL_SECONDS = 1.0


def build_prompt(linked: dialect.LinkedBrief, source: str, meta_prompt: str) -> str:
    """The prompt for the audit of a finished method."""
    return dialect.audit_prompt(linked, source, meta_prompt)


def parse(text: str) -> dict[str, Any]:
    """An audit as data; `ValueError` with the reason where the text is none."""
    return dialect.parse_audit(text)


@primitive
def weave_(self):
    """Find the behaviour to install; reports `agreed`, `disagreed` or `gave_up`."""
    at = tools()
    mission = at.mission
    if mission.question is not None:
        return weaving.weave(self, at)
    candidates = judged(at)
    refused = list(dict.fromkeys(draft["why_not"] for draft in mission.drafts if draft["why_not"]))
    if not candidates:
        mission.why = "the guardian refused every draft: " + "; ".join(refused)
        return again(self, mission, {digest(each) for each in refused}, True)
    if mission.brief["facet"] is not None:
        return weave_facet(at, candidates)
    sources = list(candidates)
    aliases = judged_kin(at)
    calls, expected, proposed = trial_calls(mission)
    votes = [len(candidates[source]["drafts"]) for source in sources]
    while True:
        outcomes = at.rehearse(
            {
                "circle": mission.circle,
                "selector": mission.miss.selector,
                "drafts": [candidates[source]["verdict"].source for source in sources] + list(aliases),
                "calls": calls,
                "seconds": REHEARSAL_SECONDS,
            },
            mission.deadline,
        )
        if not learn_missing(at, outcomes[: len(sources)], votes):
            break
    alone = bool(mission.kin) and not mission.rounds  # the greedy draft, before any council
    found = council.clusters(outcomes[: len(sources)], votes)
    audits = [] if alone else audit(self, at, [sources[cluster.drafts[0]] for cluster in found[:AUDITED]])
    actual = mission.circle["objects"][mission.circle["receiver"]]["slots"]
    states = [actual | (call["slots"] or {}) for call in calls]
    named = [slot.name for slot in mission.linked.slots if slot.linked]
    keys = [key for handle, key, _ in mission.linked.fields if handle in mission.linked.said]
    standing = {index: each for index, each in proposed.items() if council.stands(found, index, each)}
    for index, each in proposed.items():
        each["stands"] = index in standing
    for number, cluster in enumerate(found):
        audited = audits[number] if number < len(audits) else None
        untouched = council.never_touched(sources[cluster.drafts[0]], named, keys)
        council.object_to(
            cluster, mission.plan, states, expected, audited, untouched, mission.linked.said, standing
        )
    best, why = council.winner(found)
    mission.why = why
    describe(mission, sources, candidates, found, audits, calls)
    brought = council.shown(found) | {digest(each) for each in refused}
    if best is None:
        mission.counters = council.counter_examples(found, calls, mission.counters)
        wrong = council.wrong_outcomes(found, calls, expected)
        if wrong != mission.brief.get("counter_examples", []):
            mission.brief["counter_examples"] = wrong
            mission.linked = dialect.link(mission.brief)
        return again(self, mission, brought, alone or at.reads or len(found) > 1 or bool(wrong))
    alias = met(at, aliases, outcomes[len(sources) :], best)
    if alone and alias is None:
        mission.why = f"the draft does not do what {mission.kin[0].selector!r} does"
        return again(self, mission, brought, True)
    # Equal in the trials is not equal everywhere: what most voices wrote, and of those the shortest, reads best.
    index = max(best.drafts, key=lambda each: (votes[each], -len(sources[each])))
    chosen = candidates[sources[index]]
    at.verdict = chosen["verdict"]
    if alias is not None:
        near, at.verdict = alias
        mission.why = why = (
            f"the draft{'' if alone else 's'} did what {near.selector!r} does "
            f"(alike by {near.likeness:.2f}): an alias is kept"
        )
    spoken = audits[found.index(best)] if found.index(best) < len(audits) else {}
    if not at.reads:  # the curve is the embedded mind's
        mission.confidence = confidence.of_plan(mission.proposals[0]["logprob"])
    mission.chosen = agreed(
        mission, at.verdict.source, [each for i in best.drafts for each in candidates[sources[i]]["drafts"]],
        best.votes, sum(each.votes for each in found), len(calls), spoken, alias[0].selector if alias else None,
    )  # fmt: skip
    self._tmp_synthesis_data["final_response"] = {"type": "code", "content": at.verdict.source}
    return "agreed"


def learn_missing(at: Any, outcomes: list[list[dict[str, Any]]], votes: list[int]) -> bool:
    """Learn what most drafts send and nobody understands, by a mission of its own; false where there is nothing
    of the kind.  The rehearsal goes on with it."""
    wanted: dict[tuple[str | None, str], int] = {}
    missed: dict[tuple[str | None, str], dict[str, Any]] = {}
    for row, number in zip(outcomes, votes, strict=True):
        told = row[0].get("missed")
        if told is not None:
            key = (told["object"], told["selector"])
            wanted[key] = wanted.get(key, 0) + number
            missed.setdefault(key, told)
    key = max(wanted, key=wanted.__getitem__, default=None)
    if key is None or at.child is None or wanted[key] * 2 <= sum(votes):
        return False
    told, mission = missed[key], at.mission
    if told["object"] is None:
        oid, path, index = mission.miss.oid, mission.miss.path, mission.circle["receiver"]
    else:
        path = told["object"]
        oid = oid_text(at.root.resolve(path))
        index = next(i for i, each in enumerate(mission.circle["objects"]) if each["name"] == path)
    child = at.child(Miss(oid, path, told["selector"], told["args"], told["kw"]))
    # The mission's own snapshot is older than the child's commit: the rehearsal is told of it here.
    mission.circle["objects"][index]["methods"][told["selector"]] = child.chosen["source"]
    return True


def weave_facet(at: Any, candidates: dict[str, dict[str, Any]]) -> str:
    """A facet is what a mind says, which nobody can rehearse: its drafts are judged by their form."""
    mission = at.mission
    fit: dict[str, dict[str, Any]] = {}
    for source, each in candidates.items():
        wrong = facets.why_not(source)
        if wrong is None:
            fit[source] = each
        for draft in each["drafts"]:
            mission.drafts[draft] |= {"objections": [wrong] if wrong else []}
    votes = sum(len(each["drafts"]) for each in fit.values())
    total = len(mission.drafts)
    if votes * 2 <= total:
        mission.why = f"{votes} of {total} drafts put the question to the persona's own mind"
        return "gave_up"
    source = max(fit, key=lambda each: (len(fit[each]["drafts"]), -len(each)))
    at.verdict = fit[source]["verdict"]
    mission.why = f"{votes} of {total} drafts put the question to the persona's own mind, and do nothing else"
    mission.chosen = agreed(
        mission, at.verdict.source, [i for each in fit.values() for i in each["drafts"]], votes, total, 0
    )
    return "agreed"


def agreed(
    mission: Any, source: str, drafts: list[int], votes: int, total: int, trials: int,
    spoken: dict[str, Any] | None = None, alias: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """What is kept of a method that was agreed on: `drafts` are those that stand for it."""
    said, spoken = [mission.drafts[each] for each in drafts], spoken or {}
    return {
        "source": source,
        "voices": [each["voice"] for each in said],
        "experts": sorted({each["expert"] for each in said if each["expert"]}),
        "prompts": sorted({each["prompt_digest"] for each in said}),
        "rehearsal": {"trials": trials, "agreeing": votes, "drafts": total, "agreed": mission.why},
        "audit": spoken.get("finding"),
        "retold": spoken.get("retold"),
        "alias": alias,
    }


def judged_kin(at: Any) -> dict[str, Any]:
    """The aliases that pass the guardian: their source -> (kin, verdict)."""
    found = {}
    for each in at.mission.kin or ():
        verdict = at.judge(each.source, at.mission.miss.selector, at.receiver)
        if verdict.passed:
            found[verdict.source] = (each, verdict)
    return found


def met(at: Any, aliases: dict[str, Any], rows: list, best: council.Cluster) -> tuple[Any, Any] | None:
    """The (kin, verdict) of the alias that did in every trial what the winning drafts did, None if none did."""
    for alias, row in zip(aliases.values(), rows, strict=True):
        if len(council.clusters([best.outcomes, row], [1, 1])) == 1 and "unknown" not in row[0]:
            return alias
    return None


def again(state: Any, mission: Any, brought: set[str], pays: bool) -> str:
    """Another round if the last one brought anything new, the state allows one and there is time, else the
    honest end.  Whoever waits (for the mind, for the image) has not had a round; voices that only repeat
    themselves have.

    pays  whether more voices could change anything: those of a mind that reads no objections and is of one
          mind stay of one mind
    """
    new = mission.learned_anything(brought)
    if not pays:
        mission.why += "; all voices agree in that"
    elif mission.rounds > 1 and not new:
        mission.why += f"; round {mission.rounds} brought nothing new"
    elif mission.rounds < int(state.rounds) and mission.remaining() > 1.0:
        return "disagreed"
    return "gave_up"


def judged(at: Any) -> dict[str, dict[str, Any]]:
    """Distinct draft sources that pass the guardian: source -> `{"verdict", "drafts": [index]}`."""
    passed: dict[str, dict[str, Any]] = {}
    refused: dict[str, str] = {}
    for index, draft in enumerate(at.mission.drafts):
        source = draft["source"]
        if source is None:
            continue
        if source not in passed and source not in refused:
            verdict = at.judge(source, at.mission.miss.selector, at.receiver)
            if verdict.passed:
                passed[source] = {"verdict": verdict, "drafts": []}
            else:
                refused[source] = str(verdict.refusal())
            at.journal.note(
                at.mission.id,
                "VALIDATION_SUCCESS" if verdict.passed else "VALIDATION_FAILURE",
                current_state="SYNTHESIZING",
                validation_result=str(verdict),
            )
        if source in passed:
            passed[source]["drafts"].append(index)
        else:
            draft["why_not"] = refused[source]
    return passed


def trial_calls(
    mission: Any,
) -> tuple[list[dict[str, Any]], dict[int, dict[str, Any]], dict[int, dict[str, Any]]]:
    """The calls every draft is rehearsed on, the actual message first; what a person's examples say must come out,
    and what proposed ones say, by the numbers of their calls."""
    calls = [{"slots": None, "args": mission.circle["args"], "kw": mission.circle["kw"]}]
    expected: dict[int, dict[str, Any]] = {}
    for example in mission.examples:
        if "result" in example:
            expected[len(calls)] = example
        calls.append(
            {"slots": example.get("slots"), "args": example.get("args", []), "kw": example.get("kw", {})}
        )
    proposed = {}
    for example in mission.proposed:
        proposed[len(calls)] = example
        calls.append({"slots": example.get("slots"), "args": example["args"], "kw": example["kw"]})
    rng = random.Random(mission.miss.selector)
    for trial in generate_trials(mission.linked, KIN_TRIALS if mission.kin else TRIALS, rng):
        # What cannot be made up (another object) stays as it is in the snapshot.
        args = [
            made_up(value, actual)
            for value, actual in zip(trial["args"], mission.circle["args"], strict=True)
        ]
        kw = {name: made_up(value, mission.circle["kw"][name]) for name, value in trial["kw"].items()}
        slots = {name: made_up(value, KEEP) for name, value in trial["slots"].items()}
        slots = {name: value for name, value in slots.items() if value is not KEEP}
        calls.append({"slots": slots, "args": args, "kw": kw})
    return calls, expected, proposed


KEEP = object()


def made_up(value: Any, actual: Any) -> Any:
    """A generated value in the form of `plain.encode`, or `actual` where it holds an object."""
    try:
        return encode(value, lambda _: None)
    except NotPlain:
        return actual


def audit(state: Any, at: Any, sources: list[str]) -> list[dict[str, Any]]:
    """ALFRED's finding and ROBIN's sentence about each source, all in one batch."""
    if not sources:
        return []
    linked = at.mission.linked
    try:
        prompts = [build_prompt(linked, source, state.meta_prompt) for source in sources]
        prompts += [dialect.retell_prompt(linked, source, dialect.RETELL_META) for source in sources]
    except ValueError as exc:
        return [{"sound": None, "finding": str(exc), "retold": None} for _ in sources]
    n = len(sources)
    answers = at.generate(
        prompts,
        [state.persona.expert] * n + [state.teller.expert] * n,
        [audit_grammar()] * n + [retell_grammar(linked)] * n,
        Limits(max_tokens=TOKENS, temperature=0.0, deadline=at.mission.deadline),
    )
    told = []
    for index, source in enumerate(sources):
        spoken: dict[str, Any] = {"sound": None, "finding": None, "retold": None}
        try:
            spoken.update(parse(answers[index].text))
            if spoken["sound"] is False and not at.reads and answers[index].logprob < SURE:
                spoken |= {"sound": None, "finding": f"not sure, but: {spoken['finding']}"}
            spoken["retold"] = dialect.parse_retell(answers[n + index].text, linked, source)
        except ValueError as exc:
            spoken["finding"] = spoken["finding"] or str(exc)
        told.append(spoken)
    return told


def describe(
    mission: Any, sources: list[str], candidates: dict, found: list, audits: list, calls: list[dict[str, Any]]
) -> None:
    """Write into each draft what became of it, so that the mission can be looked at."""
    for number, cluster in enumerate(found):
        for index in cluster.drafts:
            for each in candidates[sources[index]]["drafts"]:
                mission.drafts[each] |= {
                    "cluster": number,
                    "votes": cluster.votes,
                    "objections": cluster.objections,
                    "audit": audits[number] if number < len(audits) else None,
                    "did": council.in_words(cluster.outcomes[0]),
                    "trials": len(calls),
                }
