"""Dates: weekdays, days between, ages, and what day it is so many days from one, in the Gregorian calendar.

Dates are read as ISO (2026-11-21) or with the month's name; 3/4/2026 is read in two ways by two
continents and is therefore no date here.  A day without its year (3 May, Christmas) is the next one where days are
counted to it, and the last one where they are counted from it.  Now is handed in: a date, or a moment, which alone
tells the time of day.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

MONTHS = [
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
    "november", "december",
]  # fmt: skip
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
_MONTH = "|".join(f"{name}|{name[:3]}\\.?" for name in MONTHS) + r"|sept\.?"
_DATE = (
    r"(?:today|tomorrow|yesterday|\d{4}-\d{2}-\d{2}"
    rf"|(?:the )?\d{{1,2}}(?:st|nd|rd|th)?(?: of)? (?:{_MONTH}),? \d{{4}}"
    rf"|(?:{_MONTH}) (?:the )?\d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}})"
)
_ON = r"(?:on )?"
FEASTS = {
    "new year": (1, 1), "new year's day": (1, 1), "valentine's day": (2, 14), "halloween": (10, 31),
    "christmas eve": (12, 24), "christmas": (12, 25), "christmas day": (12, 25), "boxing day": (12, 26),
    "new year's eve": (12, 31),
}  # fmt: skip
_DAY = (
    rf"(?:(?:the )?\d{{1,2}}(?:st|nd|rd|th)?(?: of)? (?:{_MONTH})|(?:{_MONTH}) (?:the )?\d{{1,2}}(?:st|nd|rd|th)?"
    rf"|{'|'.join(sorted(FEASTS, key=len, reverse=True))})"
)
_N = r"\d{1,6}|an?|one"

_BETWEEN = re.compile(
    rf"how many (?P<unit>days|weeks) (?:are there |are left |are |lie |is it |left )?"
    rf"(?:(?:between|from) (?P<a>{_DATE}) (?:and|to|until|till) (?P<b>{_DATE})"
    rf"|(?:until|till|to) (?P<until>{_DATE}|{_DAY})|(?:since|passed since|have passed since) (?P<since>{_DATE}|{_DAY}))"
)
_WEEKDAY = re.compile(
    rf"(?:what|which) (?:day(?: of the week)?|weekday) (?:is|was|will be|falls|fell) {_ON}(?P<a>{_DATE})"
    rf"|(?:what|which) (?:day of the week|weekday) (?:is|was|will) {_ON}(?P<b>{_DATE})(?: be| fall on)?"
)
_OFFSET = re.compile(
    rf"(?:(?:what|which) (?:date|day) (?:is|was|will be|is it|was it|will it be) |what is the date )?"
    rf"(?P<n>{_N}) (?P<unit>days?|weeks?) "
    rf"(?P<way>after|before|from|past) (?P<a>{_DATE}|now)"
    rf"|(?:what is )?(?P<a2>{_DATE}) (?P<sign>plus|minus|\+|-) (?P<n2>\d{{1,6}}) (?P<unit2>days?|weeks?)"
)
_FROM_NOW = re.compile(
    rf"(?:(?:what|which) (?:date|day)(?: is it| will it be| was it| is| was)?|what(?: is|'s| was| will be) the date)"
    rf" (?:in (?P<n>{_N}) (?P<unit>days?|weeks?)(?: from now| from today|'? time)?"
    rf"|(?P<n2>{_N}) (?P<unit2>days?|weeks?) (?P<way>ago|from now))"
)
_TIME = re.compile(r"what(?: is|'s) the time(?: now)?|what time is it(?: now)?")
_AGE = re.compile(
    rf"how old (?:is|are|am|would|will) (?:someone|somebody|a person|a child|i|he|she|they|you)(?: be)?"
    rf"(?: now| today)?,? (?:if (?:i|he|she|they|you) (?:was|were) |who (?:is|was) )?born {_ON}(?P<a>{_DATE})"
)
_TODAY = re.compile(
    r"what(?: is|'s) (?:the date|today's date|the date today|the date (?P<when>tomorrow|yesterday|today))"
    r"|what day is (?:it|it today)|what(?: is|'s) the day today"
    r"|what date is (?:it|it today|(?P<when2>today|tomorrow)|was (?P<when3>yesterday))"
)
_LEAP = re.compile(r"(?:is|was|will) (?:the year )?(?P<year>\d{4}) (?:be )?a leap year")
_DAYS_IN = re.compile(
    rf"how many days (?:are (?:there )?in|does|has|in) (?P<month>{_MONTH}) (?P<year>\d{{4}})(?: have)?"
)


def read(text: str, today: date) -> date | None:
    """The date that `text` (lower case) names, or None, also for the 30th of February."""
    relative = {"today": 0, "now": 0, "tomorrow": 1, "yesterday": -1}
    if text in relative:
        return today + timedelta(relative[text])
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            return date.fromisoformat(text)
        month = re.search(_MONTH, text)
        day = re.search(r"\b(\d{1,2})(st|nd|rd|th)?\b(?!\d)", text)
        year = re.search(r"\b\d{4}\b", text)
        if not month or not day or not year:
            return None
        if day[2] and day[2] != _ordinal(int(day[1])):
            return None
        return date(int(year[0]), _month(month[0]), int(day[1]))
    except ValueError:
        return None


def _month(name: str) -> int:
    return next(n for n, month in enumerate(MONTHS, 1) if month.startswith(name.rstrip(".")[:3]))


def _ordinal(day: int) -> str:
    return {1: "st", 2: "nd", 3: "rd"}.get(day % 10 if day // 10 != 1 else 0, "th")


def answer(text: str, today: Callable[[], date]) -> tuple[str, Any] | None:
    """The answer to a question about dates in `text` (lower case, no question mark) and its plain value."""
    now = today()
    if isinstance(now, datetime):
        if _TIME.fullmatch(text):
            return f"{now:%H:%M}", f"{now:%H:%M}"
        now = now.date()
    for pattern, told in _QUESTIONS:
        found = pattern.fullmatch(text)
        if found:
            try:
                return told(found, now)
            except (OverflowError, ValueError):  # before the year 1 or after 9999
                return None
    return None


def needs_today(text: str) -> bool:
    """Does the answer hold only today?"""
    return bool(
        re.search(
            r"\b(today|tomorrow|yesterday|now|until|till|since|the date|date is it|day is it|the day|how old|"
            r"time|ago|in (?:\d+|an?|one) (?:days?|weeks?))\b",
            text,
        )
    )


def _between(found: re.Match, now: date) -> tuple[str, Any] | None:
    if found["a"]:
        first, second = read(found["a"], now), read(found["b"], now)
    elif found["until"]:
        first, second = now, read(found["until"], now) or _nearest(found["until"], now, 1)
    else:
        first, second = read(found["since"], now) or _nearest(found["since"], now, -1), now
    if first is None or second is None or second < first:
        return None
    days = (second - first).days
    if found["unit"] == "days":
        return f"{days} {_plural('day', days)}", days
    weeks, rest = divmod(days, 7)
    if rest:
        return f"{weeks} {_plural('week', weeks)} and {rest} {_plural('day', rest)}", days / 7
    return f"{weeks} {_plural('week', weeks)}", weeks


def _weekday(found: re.Match, now: date) -> tuple[str, Any] | None:
    day = read(found["a"] or found["b"], now)
    return (DAYS[day.weekday()], DAYS[day.weekday()]) if day else None


def _offset(found: re.Match, now: date) -> tuple[str, Any] | None:
    day = read(found["a"] or found["a2"], now)
    if day is None:
        return None
    back = found["way"] == "before" or found["sign"] in ("minus", "-")
    return _told(day + (-1 if back else 1) * _span(found["n"] or found["n2"], found["unit"] or found["unit2"]))


def _from_now(found: re.Match, now: date) -> tuple[str, Any] | None:
    span = _span(found["n"] or found["n2"], found["unit"] or found["unit2"])
    return _told(now - span if found["way"] == "ago" else now + span)


def _span(n: str, unit: str) -> timedelta:
    return timedelta((1 if n in ("a", "an", "one") else int(n)) * (7 if unit.startswith("week") else 1))


def _nearest(text: str, now: date, way: int) -> date | None:
    """The next day of a name (`way` 1) or the last one (-1), today included."""
    for year in range(now.year, now.year + 9 * way, way):  # the 29th of February may be eight years away
        day = date(year, *FEASTS[text]) if text in FEASTS else read(f"{text} {year}", now)
        if day is not None and (day - now).days * way >= 0:
            return day
    return None


def _age(found: re.Match, now: date) -> tuple[str, Any] | None:
    born = read(found["a"], now)
    if born is None or born > now:
        return None
    years = now.year - born.year - ((now.month, now.day) < (born.month, born.day))
    return f"{years} {_plural('year', years)}", years


def _today(found: re.Match, now: date) -> tuple[str, Any] | None:
    return _told(read(found["when"] or found["when2"] or found["when3"] or "today", now))


def _leap(found: re.Match, now: date) -> tuple[str, Any] | None:
    year = int(found["year"])
    if year < 1583:  # the rule is of the Gregorian calendar
        return None
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return ("yes" if leap else "no"), leap


def _days_in(found: re.Match, now: date) -> tuple[str, Any] | None:
    year, month = int(found["year"]), _month(found["month"])
    days = (date(year + month // 12, month % 12 + 1, 1) - date(year, month, 1)).days
    return f"{days} days", days


def _told(day: date) -> tuple[str, Any]:
    return f"{day.isoformat()}, a {DAYS[day.weekday()]}", day.isoformat()


def _plural(word: str, n: int) -> str:
    return word if n == 1 else word + "s"


_QUESTIONS = [
    (_BETWEEN, _between), (_WEEKDAY, _weekday), (_OFFSET, _offset), (_TODAY, _today), (_LEAP, _leap),
    (_DAYS_IN, _days_in), (_FROM_NOW, _from_now), (_AGE, _age),
]  # fmt: skip
