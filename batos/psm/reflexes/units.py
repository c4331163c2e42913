"""Units: conversions by pint, exactly, over fractions.

pint is asked for names only; products and quotients of units ("km per hour", "m/s^2") and amounts in several
("5 feet 11 inches") are read here.  Where an answer has no end as a decimal it is told rounded, and exactly beside it.
What is not one thing to everybody is left alone: months and years as numbers of days, and names of
more than one unit where the question does not settle it.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import cache
from itertools import pairwise
from typing import Any

from batos.psm.reflexes.arithmetic import Beyond, rounded, told, value
from batos.psm.reflexes.formula import parse

# A month and a year are no fixed number of days; a ton, a gallon and a megabyte are several amounts, by country or by
# trade; Mb and MB differ by case, and people do not keep to it.
LEFT_ALONE = frozenset({
    "month", "year", "decade", "century", "ton", "barrel", "gallon", "pint", "quart", "cup", "teaspoon", "tablespoon",
    "horsepower", "calorie", "kilobyte", "megabyte", "gigabyte", "terabyte", "bit", "b", "t", "mb", "gb", "kb",
})  # fmt: skip
PLAIN = {
    "in": "inch", "miles": "mile", "mi": "mile", "feet": "foot", "ft": "foot", "inches": "inch", "yards": "yard",
    "yd": "yard", "yds": "yard", "kms": "km", "kilometers": "kilometer", "kilometres": "kilometer",
    "metres": "meter", "metre": "meter", "centimetres": "centimeter", "millimetres": "millimeter",
    "litres": "liter", "litre": "liter", "millilitres": "milliliter", "lbs": "pound", "lb": "pound",
    "pounds": "pound", "ounces": "ounce", "oz": "ounce", "kgs": "kg", "kilos": "kg", "kilo": "kg", "grams": "gram",
    "grammes": "gram", "stones": "stone", "secs": "second", "sec": "second", "s": "second", "mins": "minute",
    "min": "minute", "hrs": "hour", "hr": "hour", "h": "hour", "days": "day", "weeks": "week",
    "mph": "mile/hour", "kph": "km/hour", "kmh": "km/hour", "us gallon": "us_liquid_gallon",
    "us gallons": "us_liquid_gallon", "imperial gallon": "imperial_gallon", "imperial gallons": "imperial_gallon",
    "us pint": "us_pint", "us pints": "us_pint", "imperial pint": "imperial_pint", "imperial pints": "imperial_pint",
    "hectares": "hectare", "acres": "acre", "knots": "knot",
    "celsius": "degC", "centigrade": "degC", "fahrenheit": "degF", "kelvin": "kelvin", "kelvins": "kelvin",
    "c": "degC", "f": "degF", "°c": "degC", "°f": "degF",
    "degrees celsius": "degC", "degrees fahrenheit": "degF", "degree celsius": "degC",
    "degree fahrenheit": "degF", "degrees c": "degC", "degrees f": "degF", "degrees centigrade": "degC",
    "nautical miles": "nautical_mile", "nautical mile": "nautical_mile", "square meters": "meter^2",
    "square metres": "meter^2", "square feet": "foot^2", "square miles": "mile^2", "square kilometers": "km^2",
    "square kilometres": "km^2", "cubic meters": "meter^3", "cubic metres": "meter^3", "cubic feet": "foot^3",
    "cubic centimeters": "centimeter^3", "bytes": "byte", "kibibytes": "kibibyte", "mebibytes": "mebibyte",
    "gibibytes": "gibibyte", "kilocalories": "kilocalorie", "joules": "joule", "watts": "watt",
}  # fmt: skip
# Whole names are taken from this list and no other, however many pint knows: a "bark" is no unit to a reader.
KNOWN = frozenset({*PLAIN.values()} | {
    "m", "km", "cm", "mm", "um", "nm", "meter", "kilometer", "centimeter", "millimeter", "micrometer", "g", "kg", "mg",
    "gram", "kilogram", "milligram", "tonne", "l", "ml", "cl", "dl", "liter", "milliliter", "centiliter", "deciliter",
    "ms", "us", "second", "millisecond", "microsecond", "nanosecond", "minute", "fortnight", "league", "fathom",
    "furlong", "hertz", "kilohertz", "megahertz", "newton", "pascal", "kilopascal", "bar", "millibar", "atmosphere", "psi",
    "kilojoule", "kwh", "kilowatt", "megawatt", "radian", "light_year",
    "parsec", "astronomical_unit",
}) - {""}  # fmt: skip
PINTS = {"kwh": "kilowatt_hour", "l": "liter", "ml": "milliliter", "cl": "centiliter", "dl": "deciliter"}

_AMOUNT = r"(?P<amount>an?|one|half an?|-?[\d.,/ ]*\d(?:e-?\d+)?)"
_CONVERT = re.compile(
    rf"(?:convert |what is |what's |what are |how (?:much|many|tall|long|far|heavy|hot|cold|fast|big) (?:is|are) )?"
    rf"{_AMOUNT} ?(?P<source>.+) (?:to|in|into|as|expressed in) (?P<target>.+)"
)
_PRIMES = re.compile(r"""(?P<feet>\d+) ?['′] ?(?P<inches>\d+(?:\.\d+)?) ?(?:"|''|″)?(?= )""")  # 5'11"
_PIECE = re.compile(r"(?P<amount>\d+(?:\.\d+)?) ?(?P<unit>[a-z]+),?(?: and)?(?: |$)")
MONEY = frozenset("dollar usd euro eur yen jpy franc chf pound gbp rupee inr yuan cny peso krona".split())
EXACTLY = 24  # letters of a fraction that is worth telling
LONGEST = 200  # letters of a question of conversion: of ten thousand digits each would be a new beginning
_HOW_MANY = re.compile(
    rf"how many (?P<target>.+?) (?:are there in|are in|is|are|in|make|make up|equal|equals|does) {_AMOUNT} ?"
    r"(?P<source>.+?)(?: have| make)?"
)


def answer(text: str) -> tuple[str, Any] | None:
    """The answer to a question of conversion in `text` (lower case, no question mark) and its value, or None."""
    if len(text) > LONGEST:
        return None
    text = _PRIMES.sub(r"\g<feet> feet \g<inches> inches", text)
    found = _HOW_MANY.fullmatch(text) or _CONVERT.fullmatch(text)
    if not found or (target := _unit(found["target"])) is None:
        return None
    amounts = _amounts(found["amount"], found["source"])
    if amounts is None:
        return None
    numbers = [convert(amount, source, target) for amount, source in amounts]
    if None in numbers:
        return None
    number = sum(numbers, Fraction(0))
    return _spoken(number, found["target"].strip()), number


def asks(text: str) -> bool:
    """Is `text` (lower case) a question of conversion, be it one that is left alone?"""
    if len(text) > LONGEST:
        return False
    found = _CONVERT.fullmatch(_PRIMES.sub("1 foot", text.rstrip("?. ")))
    return found is not None and all(_is_known(found[each]) for each in ("source", "target"))


def _is_known(text: str) -> bool:
    one = text.strip().removesuffix("s")
    return one in MONEY or one in LEFT_ALONE or _unit(text) is not None


def _spoken(number: Fraction, unit: str) -> str:
    """An amount as an answer: all of it where it ends, else rounded, with the fraction if that is short."""
    text = told(number)
    if "/" not in text:
        return f"{text} {unit}"
    fraction = f"{number.numerator}/{number.denominator}"
    return f"about {rounded(number)} {unit}" + (f" (exactly {fraction})" if len(fraction) <= EXACTLY else "")


def _amounts(amount: str, source: str) -> list[tuple[Fraction, str]] | None:
    """What is to be converted: an amount of one unit, or of several ("2 hours 30 minutes"), each less than one of
    the unit before."""
    if (unit := _unit(source)) is not None:
        one = _amount(amount)
        return None if one is None else [(one, unit)]
    text, pieces, at = f"{amount} {source}".strip(), [], 0
    while at < len(text):
        found = _PIECE.match(text, at)
        unit = _name(found["unit"]) if found else None
        if unit is None or unit.startswith("deg") or unit == "kelvin":
            return None
        pieces.append((Fraction(found["amount"]), unit))
        at = found.end()
    for (_, larger), (amount_of, smaller) in pairwise(pieces):
        whole = convert(Fraction(1), larger, smaller)
        if whole is None or amount_of >= whole:  # 5 feet 14 inches is a slip
            return None
    return pieces if all(each.denominator == 1 for each, _ in pieces[:-1]) else None


def convert(amount: Fraction, source: str, target: str) -> Fraction | None:
    """`amount` in units of `source`, in units of `target`; None where they measure different things.

    Raises `Beyond` below absolute zero.
    """
    registry = _registry()
    left, right = (_built(registry, name) for name in (source, target))
    if left.dimensionality != right.dimensionality:
        return None
    if "deg" in source + target:
        if amount < {"degC": Fraction("-273.15"), "degF": Fraction("-459.67")}.get(source, Fraction(0)):
            raise Beyond("that is below absolute zero")
        return _temperature(amount, source, target)
    exact = registry.Quantity(amount, left).to(right).magnitude
    return Fraction(exact) if isinstance(exact, (Fraction, int)) else None


def _temperature(amount: Fraction, source: str, target: str) -> Fraction:
    """Between degC, degF and kelvin, by their definitions: pint's offsets go through floats."""
    kelvin = {
        "degC": lambda t: t + Fraction("273.15"),
        "degF": lambda t: (t + Fraction("459.67")) * Fraction(5, 9),
        "kelvin": lambda t: t,
    }[source](amount)
    return {
        "degC": lambda t: t - Fraction("273.15"),
        "degF": lambda t: t * Fraction(9, 5) - Fraction("459.67"),
        "kelvin": lambda t: t,
    }[target](kelvin)


def _amount(text: str) -> Fraction | None:
    if text in ("a", "an", "one"):
        return Fraction(1)
    if text.startswith("half"):
        return Fraction(1, 2)
    tree = parse(text, unknowns=False)
    return None if tree is None else value(tree)


def _unit(text: str) -> str | None:
    """A unit as a product in our own form ("km/hour"), or None where a part is not known."""
    text = text.strip().removeprefix("the ")
    if not text or len(text) > 60:
        return None
    whole = _name(text)
    if whole:
        return whole
    pieces = re.split(r" ?(/| per |\*) ?", text.replace(" an ", " "))
    built = ""
    for piece in pieces:
        if piece in ("/", " per ", "*"):
            built += "*" if piece == "*" else "/"
            continue
        found = re.fullmatch(r"(?P<name>[a-z°µ ]+?)\^?(?P<power>[23])?", piece.strip())
        name = _name(found["name"]) if found else None
        if name is None or (found["power"] and not name.isalpha()):
            return None
        built += name + (f"^{found['power']}" if found["power"] else "")
    return built


def _name(text: str) -> str | None:
    if text in LEFT_ALONE or text.rstrip("s") in LEFT_ALONE:
        return None
    if text in PLAIN:
        return PLAIN[text]
    if text in KNOWN:
        return text
    return text[:-1] if text.endswith("s") and text[:-1] in KNOWN else None


def _built(registry: Any, name: str) -> Any:
    """A unit of pint's from our own form; each part is one name that pint looks up."""
    if name in ("degC", "degF"):
        return registry.Unit("kelvin")  # of the same dimension; the conversion is ours
    unit, operator = registry.Unit(""), "*"
    for part in re.split(r"([*/])", name):
        if part in "*/":
            operator = part
            continue
        base, _, power = part.partition("^")
        each = registry.Unit(PINTS.get(base, base)) ** int(power or 1)
        unit = unit * each if operator == "*" else unit / each
    return unit


@cache
def _registry() -> Any:
    import pint

    return pint.UnitRegistry(non_int_type=Fraction, cache_folder=None)
