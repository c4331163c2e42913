"""ALFRED's self-audit: what the events of a day say, with numbers.

Three steps, because only the first and the last touch the image: read the events in a turn, judge them as
plain data (`findings`, pure), keep a readable report in a turn.  The thresholds are settings; what an
audit finds it says, and changes nothing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

from batos.autotelic import metrics
from batos.objects import UvmObject
from batos.objects.genesis import child

SPAN = 24 * 3600.0  # seconds looked back upon
AUDITS_KEPT = 30  # reports, a month of nights
FEW = 5  # events below which a rate or a percentile says nothing
RETURN_SWAPS = 4  # an expert that comes back within so many swaps should never have left
THRASHING = 10  # such returns in an audit before it is worth a word

Events = dict[str, list[dict[str, Any]]]
Voice = Callable[[list[dict[str, Any]]], str | None]


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile: the least value that at least `share` of all do not exceed.

    >>> percentile([1, 2, 3, 4], 0.5), percentile([7], 0.95)
    (2, 7)
    """
    ranked = sorted(values)
    # Rounded before the ceiling: 0.55 * 20 is 11.000000000000002 in floating point, and no rank 12.
    return ranked[max(0, math.ceil(round(share * len(ranked), 9)) - 1)]


def measure(events: Events) -> dict[str, Any]:
    """The numbers an audit judges, from events by kind; a number nobody can know yet is None."""
    cycles = events.get("psm_cycle_durations", [])
    durations = [each["ms"] for each in cycles]
    swaps: dict[str, list[float]] = {}
    for each in events.get("lora_swap_latencies", []):
        swaps.setdefault(each["expert"], []).append(each["ms"])
    verdicts = events.get("guardian_verdicts", [])
    refused = [each for each in verdicts if each["verdict"] == "refused"]
    rules: dict[str, int] = {}
    for each in refused:
        rules[each.get("rule") or "unnamed"] = rules.get(each.get("rule") or "unnamed", 0) + 1
    commits = sum(each["count"] for each in events.get("transaction_commits", []))
    aborts = sum(each["count"] for each in events.get("transaction_aborts", []))
    vram = events.get("vram", [])
    facets = [each["came"] for each in events.get("facets", [])]
    return {
        "missions": len(cycles),
        "missions_failed": sum(each["outcome"] != "complete" for each in cycles),
        "mission_ms_p50": percentile(durations, 0.5) if durations else None,
        "mission_ms_p95": percentile(durations, 0.95) if durations else None,
        "swaps": {
            name: {"count": len(times), "mean_ms": round(math.fsum(times) / len(times), 3)}
            for name, times in sorted(swaps.items())
        },
        "returns": _returns(events.get("lora_swap_latencies", [])),
        "verdicts": len(verdicts),
        "refused": len(refused),
        "refused_by_rule": rules,
        "commits": commits,
        "aborts": aborts,
        "abort_rate": round(aborts / (commits + aborts), 4) if commits + aborts else None,
        "vram_peak": max((each["used"] for each in vram), default=None),
        "vram_over": sum(each["used"] > each["budget"] for each in vram),
        "transitions": len(events.get("psm_transitions", [])),
        "facets_written": facets.count("written"),
        "facets_reused": facets.count("reused"),
        "facet_reuse_rate": round(facets.count("reused") / len(facets), 4) if facets else None,
    }


def _returns(swaps: list[dict[str, Any]]) -> dict[str, Any]:
    """Experts swapped in again within a few swaps: how often, by which, and the time it cost."""
    count, lost = 0, 0.0
    names: dict[str, int] = {}
    for at, each in enumerate(swaps):
        recent = [other["expert"] for other in swaps[max(0, at - RETURN_SWAPS) : at]]
        if each["expert"] in recent:
            count += 1
            lost += each["ms"]
            names[each["expert"]] = names.get(each["expert"], 0) + 1
    return {"count": count, "of": len(swaps), "lost_ms": round(lost, 3), "experts": names}


def findings(measured: dict[str, Any], settings: Any) -> list[dict[str, Any]]:
    """What crosses a threshold: ``{"rule", "what", "measured", "threshold", "events", "remedy"}`` each."""
    found: list[dict[str, Any]] = []

    def say(rule: str, what: str, value: float, threshold: float, events: int, remedy: str) -> None:
        found.append(
            {
                "rule": rule,
                "what": what,
                "measured": value,
                "threshold": threshold,
                "events": events,
                "remedy": remedy,
            }
        )

    p95 = measured["mission_ms_p95"]
    if p95 is not None and p95 > settings.audit_mission_ms:
        say(
            "slow_missions",
            f"one mission in twenty took longer than {p95:,.0f} ms ({measured['missions']} missions)",
            p95, settings.audit_mission_ms, measured["missions"],
            "fewer drafts (mission_drafts), or a faster mind",
        )  # fmt: skip
    failed, missions = measured["missions_failed"], measured["missions"]
    if missions >= FEW and failed / missions > 0.5:
        say(
            "failing_missions",
            f"{failed} of {missions} missions failed",
            round(failed / missions, 4), 0.5, missions,
            "look at `missions`; what this mind cannot do wants `define`, or a larger mind (`incarnate`)",
        )  # fmt: skip
    for name, swap in measured["swaps"].items():
        if swap["mean_ms"] > settings.audit_swap_ms:
            say(
                "slow_swaps",
                f"{name} took {swap['mean_ms']:,.1f} ms a swap on average ({swap['count']} swaps)",
                swap["mean_ms"], settings.audit_swap_ms, swap["count"],
                "keep it warm (warm_bytes), or on a faster disk",
            )  # fmt: skip
    back = measured["returns"]
    if back["count"] >= THRASHING and back["count"] > back["of"] / 2:
        pair = " and ".join(sorted(back["experts"], key=lambda name: -back["experts"][name])[:3])
        say(
            "thrashing_experts",
            f"{pair} push each other out: {back['count']} of {back['of']} swaps brought back an expert that "
            f"had just left, {back['lost_ms']:,.0f} ms in all",
            back["count"], THRASHING, back["of"],
            "more hot slots (hot_slots), or missions of one persona after another",
        )  # fmt: skip
    if measured["refused"]:
        rules = ", ".join(f"{rule} {n}" for rule, n in sorted(measured["refused_by_rule"].items()))
        say(
            "refused_methods",
            f"the guardian refused {measured['refused']} of {measured['verdicts']} methods ({rules})",
            measured["refused"], 0, measured["verdicts"],
            "read what was refused in the journal before loosening anything",
        )  # fmt: skip
    rate, turns = measured["abort_rate"], measured["commits"] + measured["aborts"]
    if rate is not None and turns >= FEW and rate > settings.audit_abort_rate:
        say(
            "aborted_transactions",
            f"{measured['aborts']} of {turns} transactions were rolled back",
            rate, settings.audit_abort_rate, turns,
            "see `log` for the messages that fail again and again",
        )  # fmt: skip
    if measured["vram_over"]:
        say(
            "vram_over_budget",
            f"more VRAM than the budget {measured['vram_over']} times, once {measured['vram_peak']:,.0f} B",
            measured["vram_peak"], 0, measured["vram_over"],
            "fewer hot slots (hot_slots), or a smaller mind",
        )  # fmt: skip
    return found


def written(report: dict[str, Any]) -> str:
    """The report as a person reads it."""
    measured = report["measured"]

    def number(value: Any, unit: str = "") -> str:
        return "unknown" if value is None else f"{value:,.0f}{unit}"

    day = time.strftime("%Y-%m-%d %H:%M", time.localtime(report["time"]))
    lines = [
        f"Self-audit of {day}, {(report['time'] - report['since']) / 3600:.0f} hours looked back.",
        f"Missions: {measured['missions']}, of which {measured['missions_failed']} failed; "
        f"p50 {number(measured['mission_ms_p50'], ' ms')}, p95 {number(measured['mission_ms_p95'], ' ms')}.",
        f"Swaps: {sum(each['count'] for each in measured['swaps'].values())}; "
        f"verdicts: {measured['verdicts']}, of which {measured['refused']} refused; "
        f"transactions: {measured['commits']} kept, {measured['aborts']} rolled back.",
    ]
    if measured["facet_reuse_rate"] is not None:
        lines.append(
            f"Facets: {measured['facets_written']} written, {measured['facets_reused']} answers by one that was there "
            f"already ({measured['facet_reuse_rate']:.0%})."
        )
    for each in report["findings"]:
        lines.append(f"- {each['rule']}: {each['what']}. Remedy: {each['remedy']}.")
    if not report["findings"]:
        lines.append("Nothing crosses a threshold.")
    if report.get("voice"):
        lines.append(f"ALFRED: {report['voice']}")
    return "\n".join(lines)


def alfred_part(root: Any) -> None:
    """What the heartbeat keeps on `alfred_prototype_obj`; a part of genesis."""
    child(root, "alfred_prototype_obj", last_audit=None, audits=[], next_audit=None)


def gather(root: Any, since: float) -> Events:
    """The events of every kind since a time, as plain data."""
    return {kind: metrics.events(root, kind, since) for kind in metrics.KINDS}


def keep(root: Any, report: dict[str, Any]) -> None:
    """Put a report into the image: the last one, and the list of the last `AUDITS_KEPT`."""
    alfred_part(root)
    alfred = root["alfred_prototype_obj"]
    kept = UvmObject(root["genesis_obj"], **report)
    alfred.last_audit = kept
    alfred.audits.append(kept)
    while len(alfred.audits) > AUDITS_KEPT:
        alfred.audits.pop(0)


def last(root: Any) -> dict[str, Any] | None:
    """The last report as plain data, None where there was no audit yet."""
    if "alfred_prototype_obj" not in root:
        return None
    report = root["alfred_prototype_obj"]._slots.get("last_audit")
    return (
        None
        if report is None
        else _plain({name: value for name, value in report._slots.items() if name[-1] != "*"})
    )


def _plain(value: Any) -> Any:
    if hasattr(value, "items"):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)) or (
        hasattr(value, "__iter__") and not isinstance(value, (str, bytes))
    ):
        return [_plain(each) for each in value]
    return value


def perform(
    image: Any,
    settings: Any,
    noted: metrics.Metrics | None = None,
    now: float | None = None,
    voice: Voice | None = None,
) -> dict[str, Any]:
    """One self-audit, start to end; answers the report as plain data.  Not from the image thread.

    noted  the buffer whose events belong in it too
    voice  ALFRED's own sentence on the findings, asked of the mind; called outside a turn, and an audit
           without it is still an audit
    """
    if noted is not None:
        noted.flush_into(image)
    now = time.time() if now is None else now
    since = now - SPAN
    measured = measure(image.run("self_audit reads", lambda root: gather(root, since)))
    report: dict[str, Any] = {
        "time": now,
        "since": since,
        "findings": findings(measured, settings),
        "measured": measured,
        "voice": None,
    }
    if voice is not None:
        report["voice"] = voice(report["findings"])
    report["text"] = written(report)
    image.run("self_audit", lambda root: keep(root, report))
    return report
