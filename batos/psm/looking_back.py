"""What the records say to a question about them: those of missions, counted, and those of the conversation.

"What failed most last week?" has an answer that can be counted, and a week that a passage cannot know.  The
same records are also remembered as texts (`knowledge.itself`), for questions this grammar does not know.
"""

from __future__ import annotations

import re
from collections import Counter
from datetime import date, datetime, timedelta
from operator import itemgetter
from typing import Any

from batos.objects.plain import plain
from batos.psm.about import answered
from batos.psm.machine import FAILED

SHOWN = 5
TOLD_SHOWN = 10
_WHEN = (
    r"(?: (?P<when>today|yesterday|(?:this|last) (?:week|month)|so far|ever|"
    r"(?:in|during|over|for) the (?:last|past) (?P<days>\d{1,3}) days|in the (?:last|past) (?:week|month)))?"
)
_MISSIONS = r"(?:of )?(?:my |your |the )?missions?"
_FAILURES = re.compile(
    rf"(?:what|which|which {_MISSIONS}|what kind of {_MISSIONS}) (?:has |have )?"
    rf"(?:failed|fails?|went wrong|goes wrong|gone wrong)(?: the)?(?: most)?(?: often)?{_WHEN}"
)
_REASONS = re.compile(rf"why (?:did|do|have|has) {_MISSIONS} fail(?:ed)?(?: most)?(?: often)?{_WHEN}")
_HOW_MANY = re.compile(
    rf"how many {_MISSIONS} (?:were there|ran|were run|have there been|failed|succeeded|did you run){_WHEN}"
)
_LEARNED = re.compile(rf"what (?:did you learn|have you learn(?:ed|t)|was learn(?:ed|t)){_WHEN}")


def looked_back(root: Any, text: str, today: date) -> dict[str, Any] | None:
    """What the missions' records answer to a question about failures, reasons, numbers or what was learned;
    None for any other question."""
    low = " ".join(text.lower().rstrip("?!. ").split())
    low = re.sub(r"^(?:alfred|batos)[,:]? |^please | please$", "", low)
    for pattern, tell in (
        (_FAILURES, _failures), (_REASONS, _reasons), (_HOW_MANY, _numbers), (_LEARNED, _learned),
    ):  # fmt: skip
        if found := pattern.fullmatch(low):
            since, until, said = _period(found["when"] or "so far", found["days"], today)
            records = [
                each
                for each in root["orchestrator_obj"].missions.values()
                if since <= datetime.fromtimestamp(each["since"]).date() <= until
            ]
            answer = tell(records, said) if records else f"There were no missions {said}."
            why = f"counted in the records of {len(records)} missions"
            return answered(answer, "object", 1.0, why, [{"object": "orchestrator_obj", "slot": "missions"}])
    return None


_LAST_ASKED = re.compile(
    r"what (?:did|have) i (?:just )?(?:ask|asked|say|said)(?: to)?(?: you)?(?: just now| before| last)?"
)
_TOLD = re.compile(
    r"what (?:do you (?:know|remember) about me|do you remember|(?:did|have) i (?:tell|told) you(?: about me)?)"
    r"(?: so far)?"
)
_REASON = re.compile(
    r"(?:and |but )?(?:why|how come|how so|says who|are you sure|really|"
    r"how (?:do|did) you (?:know|find out)(?: (?:that|this|it))?|"
    r"where (?:do|did) you (?:get|have) (?:that|this|it)(?: from)?)"
)


def said_before(root: Any, turns: list[dict[str, Any]], low: str, reasons: bool) -> dict[str, Any] | None:
    """What the conversations say to a question about themselves; None for any other question.

    turns    the last ones of this conversation
    low      the question in small letters
    reasons  answer "why?" with what the last answer rests on, too; a mind that converses may know better
    """
    low = low.rstrip("?!. ")
    source = [{"object": "conversations_obj", "slot": "sessions"}]
    if _LAST_ASKED.fullmatch(low):
        if not turns:
            return answered("This conversation begins with your question.", "object", 1.0, "it has no turns", source)
        answer, places = f"You said: {turns[-1]['asked']}", turns[-1]["sources"]
        return answered(answer, "object", 1.0, "read from this conversation", places or source)
    if _TOLD.fullmatch(low):
        sessions = root["conversations_obj"].sessions.values()
        pairs = [pair for each in sessions for pair in each.turns.items() if pair[1]["road"] == "told"]
        told = [turn for _, turn in sorted(pairs, key=itemgetter(0)) if turn["sources"]][-TOLD_SHOWN:]
        lines = ["You told me:", *(turn["asked"] for turn in told)] if told else ["You have told me nothing yet."]
        places = [plain(place) for turn in told for place in turn["sources"]]  # forgotten there, forgotten here
        return answered("\n".join(lines), "object", 1.0, "read from all conversations", places or source)
    if reasons and turns and turns[-1]["road"] != "kept_words" and _REASON.fullmatch(low):
        last = turns[-1]
        answer = f"By {last['road']}, confidence {last['confidence']:g}: {last['why']}."
        if last["road"] == "none":
            answer = f"{last['answer'][:1].upper()}{last['answer'][1:]}."
        return answered(answer, "object", 1.0, "read from this conversation", last["sources"] or source)
    return None


def _period(when: str, days: str | None, today: date) -> tuple[date, date, str]:
    """(first day, last day, how it is said)."""
    week, month = today - timedelta(days=today.weekday()), today.replace(day=1)
    if days:
        since, until = today - timedelta(days=int(days)), today
    elif when == "today":
        since = until = today
    elif when == "yesterday":
        since = until = today - timedelta(days=1)
    elif when == "this week":
        since, until = week, today
    elif when == "last week":
        since, until = week - timedelta(days=7), week - timedelta(days=1)
    elif when == "this month":
        since, until = month, today
    elif when == "last month":
        until = month - timedelta(days=1)
        since = until.replace(day=1)
    elif when.endswith("week"):
        since, until = today - timedelta(days=7), today
    elif when.endswith("month"):
        since, until = today - timedelta(days=31), today
    else:
        return date.min, date.max, "so far"
    return since, until, f"{when} ({since}{f' to {until}' if until > since else ''})"


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def _failed(records: list[Any]) -> list[Any]:
    return [each for each in records if each["state"] == FAILED]


def _failures(records: list[Any], said: str) -> str:
    failed = _failed(records)
    if not failed:
        return f"Nothing failed {said}: {_count(len(records), 'mission')}, all of them completed."
    most = Counter((each["send"], each["to"]) for each in failed).most_common(SHOWN)
    newest = {(each["send"], each["to"]): each for each in failed}
    lines = [
        f"{send} of {to}, {_times(times)}: {newest[send, to]['why'] or 'no reason was told'} "
        f"(see: mission {newest[send, to]['id']})"
        for (send, to), times in most
    ]
    head = f"{len(failed)} of {_count(len(records), 'mission')} failed {said}, most often"
    return "\n".join([f"{head}:", *lines])


def _reasons(records: list[Any], said: str) -> str:
    failed = _failed(records)
    if not failed:
        return f"No mission failed {said}."
    reasons = Counter(str(each["why"] or "no reason was told") for each in failed).most_common(SHOWN)
    return "\n".join([f"{_count(len(failed), 'mission')} failed {said}:",
                      *(f"{_times(times)}: {why}" for why, times in reasons)])  # fmt: skip


def _numbers(records: list[Any], said: str) -> str:
    failed = len(_failed(records))
    return f"{_count(len(records), 'mission')} {said}: {len(records) - failed} completed, {failed} failed."


def _learned(records: list[Any], said: str) -> str:
    # A mission for words installs nothing.
    learned = [each for each in records if each["state"] != FAILED and not each.get("words")]
    if not learned:
        return f"Nothing was learned {said}."
    names = dict.fromkeys(f"{each['send']} of {each['to']}" for each in reversed(learned))
    more = f", and {len(names) - 2 * SHOWN} more" if len(names) > 2 * SHOWN else ""
    return f"Learned {said}: {', '.join(list(names)[: 2 * SHOWN])}{more}."


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
