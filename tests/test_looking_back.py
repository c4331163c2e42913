"""Questions about missions are counted from their records."""

from __future__ import annotations

from datetime import date, datetime

import pytest

from batos.psm.looking_back import looked_back

TODAY = date(2026, 5, 14)  # a Thursday


class Missions:
    def __init__(self, records):
        self.missions = {str(n): each for n, each in enumerate(records)}


def mission(day, send, why=None, to="account"):
    since = datetime.fromisoformat(day).replace(hour=12).timestamp()
    state = "FAILED" if why else "COMPLETE"
    return {"id": f"m-{day}-{send}", "since": since, "to": to, "send": send, "state": state, "why": why}


@pytest.fixture
def ask():
    records = [
        mission("2026-04-20", "old", "it was long ago"),
        mission("2026-05-04", "fee", "no draft was right"),
        mission("2026-05-06", "fee", "no draft was right"),
        mission("2026-05-08", "tax", "refused"),
        mission("2026-05-09", "rate"),
        mission("2026-05-13", "price", "refused"),
        mission("2026-05-14", "total"),
    ]
    root = {"orchestrator_obj": Missions(records)}
    return lambda text: (looked_back(root, text, TODAY) or {}).get("answer")


def test_what_failed_most_last_week_is_told_with_counts_reasons_and_where_to_look(ask):
    assert ask("What failed most last week?") == (
        "3 of 4 missions failed last week (2026-05-04 to 2026-05-10), most often:\n"
        "fee of account, twice: no draft was right (see: mission m-2026-05-06-fee)\n"
        "tax of account, once: refused (see: mission m-2026-05-08-tax)"
    )


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("Alfred, which missions have failed today?", "Nothing failed today (2026-05-14): 1 mission, all"),
        (
            "what failed yesterday",
            "1 of 1 mission failed yesterday (2026-05-13), most often:\nprice of account",
        ),
        ("what went wrong most often in the last 3 days?", "1 of 2 missions failed in the last 3 days"),
        ("what failed last month?", "1 of 1 mission failed last month (2026-04-01 to 2026-04-30)"),
        (
            "why did missions fail?",
            "5 missions failed so far:\ntwice: no draft was right\ntwice: refused\nonce: it",
        ),
        (
            "how many missions were there this week?",
            "2 missions this week (2026-05-11 to 2026-05-14): 1 completed, 1",
        ),
        ("what did you learn last week?", "Learned last week (2026-05-04 to 2026-05-10): rate of account."),
        ("how many missions failed in the last month?", "7 missions in the last month"),
    ],
)
def test_the_period_is_the_one_that_was_asked_for(ask, question, said):
    assert ask(question).startswith(said)


@pytest.mark.parametrize(
    "text", ["what failed the exam?", "why did the bridge fail last week?", "missions", ""]
)
def test_other_questions_are_left_to_others(ask, text):
    assert ask(text) is None
