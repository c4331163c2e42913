"""Messages as a person would write them, each with the method that person would expect.

Written from section 4 of the contract and from everyday objects, not from the curriculum's own patterns, so
that `scripts/bench missions` also hears what the trainers did not think of.  `@said` gives the slots of the
object and the arguments of each case, the first being the message as it is sent; `also` gives other states.
A method that raises means that the message should be answered with an error and change nothing.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Spoken:
    """One message and what should come of it: `cases` are (state, arguments)."""

    selector: str
    cases: list[tuple[dict[str, Any], list[Any]]]
    method: Callable[..., Any]


SPOKEN: list[Spoken] = []


def said(*arguments: list[Any], also: tuple[dict[str, Any], ...] = (), **slots: Any) -> Callable:
    """A message to an object with these slots, once for each list of arguments (none: without any)."""

    def keep(method: Callable) -> Callable:
        states = [slots, *(slots | other for other in also)]
        cases = [(state, each) for state in states for each in arguments or ([],)]
        SPOKEN.append(Spoken(method.__name__, cases, method))
        return method

    return keep


# -- numbers ---------------------------------------------------------------------------------------------


@said([30], [100], [101], florins=100, keeper="Ada")
def withdraw_florins(self, amount):
    if amount > self.florins:
        raise ValueError
    self.florins -= amount
    return self.florins


@said([5], [250], florins=100, keeper="Ada")
def increase_florins(self, amount):
    self.florins += amount
    return self.florins


@said([7], [12], marmalade=3, label="red", also=({"marmalade": 0},))
def add_marmalade(self, amount):
    self.marmalade += amount
    return self.marmalade


@said([4], [9], lanterns=20, street="Elm")
def decrease_lanterns(self, amount):
    self.lanterns -= amount
    return self.lanterns


@said(quokkas=21, also=({"quokkas": 0}, {"quokkas": -4}))
def double_quokkas(self):
    self.quokkas *= 2
    return self.quokkas


@said(quokkas=21, keeper="Bo", also=({"quokkas": 4},))
def triple_quokkas(self):
    self.quokkas *= 3
    return self.quokkas


@said(thimbles=20, also=({"thimbles": 6},))
def halve_thimbles(self):
    self.thimbles /= 2
    return self.thimbles


@said(mileage=1200, plate="XK 12")
def reset_mileage(self):
    self.mileage = 0
    return self.mileage


@said([50], [200], humidity=80, room="attic", also=({"humidity": 20},))
def cap_humidity_at(self, limit):
    self.humidity = min(self.humidity, limit)
    return self.humidity


@said([30], [10], [80], voltage=30, maker="Volta")
def is_voltage_above(self, limit):
    return self.voltage > limit


@said([30], [31], [29], voltage=30, maker="Volta")
def voltage_above(self, limit):
    return self.voltage > limit


@said([30], [10], [80], voltage=30, maker="Volta")
def is_voltage_below(self, limit):
    return self.voltage < limit


@said([10], [25], [0], tariff=80, zone="north", also=({"tariff": 200},))
def discounted_tariff(self, percent):
    return self.tariff * (100 - percent) / 100


@said([3], [0], tariff=80, zone="north")
def tariff_times(self, factor):
    return self.tariff * factor


@said([20], [80], [81], attic=80, cellar=5)
def move_attic_to_cellar(self, amount):
    if amount > self.attic:
        raise ValueError
    self.attic -= amount
    self.cellar += amount
    return self.cellar


@said(ewes=12, rams=3, farmer="Nia")
def total_of_ewes_and_rams(self):
    return self.ewes + self.rams


@said(ewes=12, rams=3, farmer="Nia", also=({"ewes": 3},))
def difference_of_ewes_and_rams(self):
    return self.ewes - self.rams


@said(satchels=7, also=({"satchels": 8}, {"satchels": 0}))
def is_satchels_even(self):
    return self.satchels % 2 == 0


@said(deficit=-7, also=({"deficit": 7},))
def absolute_deficit(self):
    return abs(self.deficit)


@said(fathoms=9, also=({"fathoms": 3},))
def squared_fathoms(self):
    return self.fathoms**2


@said([99], [-1], barometer=10, owner="Kim")
def set_barometer(self, value):
    self.barometer = value
    return self.barometer


@said(furlongs=12.7, also=({"furlongs": 3.2},))
def rounded_furlongs(self):
    return round(self.furlongs)


@said(beam=4, keel=6, colour="grey", also=({"keel": 0},))
def beam_times_keel(self):
    return self.beam * self.keel


@said(sprockets=4, also=({"sprockets": 0},))
def increment_sprockets(self):
    self.sprockets += 1
    return self.sprockets


@said(arrears=40, also=({"arrears": 0},))
def has_arrears(self):
    return bool(self.arrears)


@said([2], [4], ration=12, camp="east")
def divide_ration_by(self, number):
    self.ration /= number
    return self.ration


@said(sonar=14, radar=9, also=({"radar": 20},))
def larger_of_sonar_and_radar(self):
    return max(self.sonar, self.radar)


@said([5], [15], lowest=10, draught=3, also=({"draught": 30},))
def is_draught_below(self, limit):
    return self.draught < limit


# -- texts -----------------------------------------------------------------------------------------------


@said(epitaph="Here lies Tom", year=1802, also=({"epitaph": ""},))
def upper_epitaph(self):
    return self.epitaph.upper()


@said(epitaph="Here lies Tom", year=1802)
def lower_epitaph(self):
    return self.epitaph.lower()


@said(epitaph="Here lies Tom", year=1802, also=({"epitaph": ""},))
def words_in_epitaph(self):
    return len(self.epitaph.split())


@said(haiku="old pond a frog", also=({"haiku": ""},))
def haiku_length(self):
    return len(self.haiku)


@said(signpost="North", also=({"signpost": "ab"},))
def reverse_signpost(self):
    self.signpost = self.signpost[::-1]
    return self.signpost


@said(signpost="North", also=({"signpost": "level"},))
def reversed_signpost(self):
    return self.signpost[::-1]


@said(["South"], [""], signpost="North", paint="white")
def rename_signpost(self, name):
    self.signpost = name
    return self.signpost


@said(signpost="North")
def clear_signpost(self):
    self.signpost = ""
    return self.signpost


@said(["frog"], ["toad"], haiku="old pond a frog", poet="Basho")
def haiku_contains(self, part):
    return part in self.haiku


@said(["old"], ["frog"], haiku="old pond a frog", poet="Basho")
def haiku_starts_with(self, part):
    return self.haiku.startswith(part)


@said(["o"], ["zz"], haiku="old pond a frog", poet="Basho")
def count_in_haiku(self, part):
    return self.haiku.count(part)


@said(skipper="mary ann lee", also=({"skipper": "bo"},))
def title_skipper(self):
    return self.skipper.title()


@said(skipper="Mary Ann Lee", ship="Swift")
def initials_of_skipper(self):
    return "".join(word[0] for word in self.skipper.split())


@said(skipper="Mary Ann Lee", ship="Swift", also=({"skipper": "Bo"},))
def first_word_of_skipper(self):
    return self.skipper.split()[0]


@said(palimpsest="level", also=({"palimpsest": "river"},))
def is_palimpsest_palindrome(self):
    return self.palimpsest == self.palimpsest[::-1]


@said(["!"], [" again"], epigram="never", also=({"epigram": ""},))
def append_to_epigram(self, text):
    self.epigram += text
    return self.epigram


@said(["e", "a"], ["x", "y"], epigram="never ever")
def replace_in_epigram(self, old, new):
    self.epigram = self.epigram.replace(old, new)
    return self.epigram


@said(epigram="  keep calm ", also=({"epigram": "x"},))
def trimmed_epigram(self):
    return self.epigram.strip()


@said(forename="Ada", surname="Byron")
def forename_and_surname(self):
    return f"{self.forename} {self.surname}"


@said(passphrase="", also=({"passphrase": "x"},))
def is_passphrase_empty(self):
    return not self.passphrase


# -- lists -----------------------------------------------------------------------------------------------


@said(["rye"], ["oats"], silos=["oats", "barley"], farmer="Nia", also=({"silos": []},))
def add_silo(self, item):
    self.silos.append(item)
    return len(self.silos)


@said(["oats"], ["corn"], silos=["oats", "barley", "oats"], farmer="Nia")
def remove_silo(self, item):
    if item not in self.silos:
        raise ValueError
    self.silos.remove(item)
    return len(self.silos)


@said(["oats"], ["corn"], silos=["oats", "barley"], farmer="Nia")
def has_silo(self, item):
    return item in self.silos


@said(silos=["oats", "barley"], farmer="Nia", also=({"silos": []},))
def count_silos(self):
    return len(self.silos)


@said(silos=["oats", "barley", "corn"], also=({"silos": ["b", "a"]},))
def sorted_silos(self):
    return sorted(self.silos)


@said(silos=["oats", "barley"], also=({"silos": []},))
def clear_silos(self):
    self.silos.clear()
    return 0


@said(silos=["oats", "barley", "rye"], also=({"silos": ["x"]},))
def reverse_silos(self):
    self.silos.reverse()
    return len(self.silos)


@said(silos=["oats", "barley"], also=({"silos": []},))
def pop_silo(self):
    if not self.silos:
        raise ValueError
    return self.silos.pop()


@said(silos=["oats", "barley"], also=({"silos": ["x"]},))
def first_silo(self):
    return self.silos[0]


@said(silos=["oats", "barley"], also=({"silos": ["x"]},))
def last_silo(self):
    return self.silos[-1]


@said(tremors=[3, 9, 4], station="Oslo", also=({"tremors": [7]},))
def largest_tremor(self):
    return max(self.tremors)


@said(tremors=[3, 9, 4], station="Oslo")
def smallest_tremor(self):
    return min(self.tremors)


@said(tremors=[3, 9, 4], station="Oslo", also=({"tremors": []},))
def total_of_tremors(self):
    return sum(self.tremors)


@said(tremors=[3, 9, 6], station="Oslo", also=({"tremors": [7]},))
def average_tremors(self):
    return sum(self.tremors) / len(self.tremors)


@said([3], [9], [0], tremors=[3, 9, 4], station="Oslo")
def tremors_above(self, limit):
    return [each for each in self.tremors if each > limit]


@said([3], [9], [0], tremors=[3, 9, 4], station="Oslo")
def count_tremors_above(self, limit):
    return sum(each > limit for each in self.tremors)


@said(tremors=[3, 9, 4, 8], also=({"tremors": []},))
def even_tremors(self):
    return [each for each in self.tremors if each % 2 == 0]


@said(tremors=[3, 9, 4])
def double_tremors(self):
    self.tremors = [each * 2 for each in self.tremors]
    return len(self.tremors)


@said(buoys=["red", "blue", "red"], also=({"buoys": []},))
def unique_buoys(self):
    return list(dict.fromkeys(self.buoys))


@said(buoys=["red", "crimson", "blue"])
def longest_buoy(self):
    return max(self.buoys, key=len)


@said([", "], ["-"], buoys=["red", "blue"])
def joined_buoys(self, separator):
    return separator.join(self.buoys)


@said([0, "gold"], [1, "x"], buoys=["red", "blue"])
def insert_buoy_at(self, index, item):
    self.buoys.insert(index, item)
    return len(self.buoys)


@said([2], [1], buoys=["red", "blue", "green"])
def first_buoys(self, number):
    return self.buoys[:number]


@said(buoys=["red", "blue"], also=({"buoys": []},))
def has_buoys(self):
    return bool(self.buoys)


# -- dictionaries ----------------------------------------------------------------------------------------


@said(["flour", 4], ["salt", 1], larder={"flour": 2}, cook="Bo")
def put_in_larder(self, key, value):
    self.larder[key] = value
    return value


@said(["flour"], ["tea"], larder={"flour": 2, "salt": 1}, cook="Bo")
def remove_from_larder(self, key):
    if key not in self.larder:
        raise KeyError
    del self.larder[key]
    return len(self.larder)


@said(["flour"], ["tea"], larder={"flour": 2}, cook="Bo")
def has_in_larder(self, key):
    return key in self.larder


@said(larder={"flour": 2, "salt": 5}, also=({"larder": {}},))
def total_of_larder(self):
    return sum(self.larder.values())


@said(larder={"flour": 2, "salt": 5}, also=({"larder": {"x": 1}},))
def best_in_larder(self):
    return max(self.larder, key=self.larder.get)


@said(["flour"], ["tea"], larder={"flour": 2}, also=({"larder": {}},))
def tally_in_larder(self, key):
    self.larder[key] = self.larder.get(key, 0) + 1
    return self.larder[key]


@said(larder={"salt": 5, "flour": 2}, also=({"larder": {}},))
def sorted_larder_keys(self):
    return sorted(self.larder)


@said(larder={"salt": 5, "flour": 2}, also=({"larder": {}},))
def count_larder(self):
    return len(self.larder)


@said(larder={"salt": 5, "flour": 2}, cook="Bo")
def clear_larder(self):
    self.larder.clear()
    return 0


@said([3], [0], larder={"salt": 5, "flour": 2}, cook="Bo")
def larder_above(self, limit):
    return {key: value for key, value in self.larder.items() if value > limit}


@said(larder={"salt": 5, "flour": 2})
def average_of_larder(self):
    return sum(self.larder.values()) / len(self.larder)


@said(["flour"], ["tea"], larder={"flour": 2}, cook="Bo")
def take_from_larder(self, key):
    if key not in self.larder:
        raise KeyError
    return self.larder.pop(key)


@said(["flour"], larder={"flour": 2}, cook="Bo")
def find_in_larder(self, key):
    return self.larder[key]


@said(["flour", 3], ["salt", 2], larder={"flour": 2, "salt": 1})
def increase_in_larder(self, key, amount):
    self.larder[key] += amount
    return self.larder[key]


@said(berths={"a1": "Ada", "a2": "Bo"}, also=({"berths": {}},))
def names_in_berths(self):
    return list(self.berths)


@said(berths={"a1": "Ada", "a2": "Bo"})
def values_of_berths(self):
    return list(self.berths.values())


# -- dates, flags, records -------------------------------------------------------------------------------


@said(voyage="2024-03-09", also=({"voyage": "1999-12-31"},))
def year_of_voyage(self):
    return datetime.date.fromisoformat(self.voyage).year


@said(["2024-03-10"], ["2024-01-01"], voyage="2024-03-09", ship="Swift")
def is_voyage_before(self, other):
    return datetime.date.fromisoformat(self.voyage) < datetime.date.fromisoformat(other)


@said(["2024-03-19"], voyage="2024-03-09", ship="Swift")
def days_from_voyage_to(self, other):
    return (datetime.date.fromisoformat(other) - datetime.date.fromisoformat(self.voyage)).days


@said(moored=True, ship="Swift", also=({"moored": False},))
def toggle_moored(self):
    self.moored = not self.moored
    return self.moored


@said(moored=True, ship="Swift", also=({"moored": False},))
def is_moored(self):
    return self.moored


@said(hampers=[{"name": "tea", "weight": 4}, {"name": "silk", "weight": 2}], also=({"hampers": []},))
def total_weight_of_hampers(self):
    return sum(each["weight"] for each in self.hampers)


@said(hampers=[{"name": "tea", "weight": 4}, {"name": "silk", "weight": 2}])
def names_of_hampers(self):
    return [each["name"] for each in self.hampers]


@said(hampers=[{"name": "tea", "weight": 4}, {"name": "silk", "weight": 2}])
def heaviest_hamper(self):
    return max(self.hampers, key=lambda each: each["weight"])
