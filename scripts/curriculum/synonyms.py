"""Words that mean the same: from them each operation gets wordings it does not have by itself.

Where an operation has two words of a family in one place (`increase_X`, `raise_X`), the others of the family
may stand there as well (`lift_X`, `hike_X`), unless another operation already answers to that for the same
kinds.  So verbs and operations meet that no block names together, and which verbs are alike is learned across
all kinds.  `Operation.later` keeps the wordings that came so; they are held out by themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

FAMILIES = [
    tuple(line.split())
    for line in """
increase raise boost grow lift augment enlarge up hike elevate bump expand
decrease lower reduce drop cut shrink diminish lessen trim_down bring_down
withdraw take spend deduct use consume draw debit
deposit credit pay top_up fund
multiply scale times
divide split
reset zero clear empty wipe nullify blank
set assign change update replace adjust overwrite store fix make
cap limit restrict bound confine
increment inc bump tick advance step_up
decrement dec step_down count_down
double duplicate twofold
doubled twice double_of two_times
halved half half_of
tripled triple_of three_times thrice
squared square_of
negated inverted opposite_of negative_of
rounded round nearest
discounted reduced marked_down lowered cheapened
inflated marked_up grown taxed raised
above more_than greater_than larger_than higher_than bigger_than beyond exceeding
below less_than smaller_than lower_than beneath
at_least not_below not_less_than no_less_than
at_most not_above not_more_than no_more_than up_to within
equals equal_to same_as is_equal_to exactly identical_to
different_from unlike other_than not_equal_to distinct_from
between in_range inside within from_to
total sum combined overall aggregate
total_of sum_of aggregate_of
average mean avg
average_of mean_of avg_of
largest biggest greatest highest maximum max top
largest_of biggest_of greatest_of highest_of maximum_of max_of
smallest lowest least minimum min tiniest littlest
smallest_of lowest_of least_of minimum_of min_of
sorted ordered arranged ranked
sort order arrange rank
reversed flipped inverted backwards turned_around mirrored
reverse flip invert turn_around mirror
shuffle mix
unique distinct different deduplicated
count number_of how_many amount_of quantity_of tally_of
length size len extent
length_of size_of len_of
first initial leading head front
last final trailing end tail
longest lengthiest
shortest briefest
add append push include insert attach enrol
add_to append_to push_to
prepend unshift
remove delete discard drop erase strike exclude eliminate
remove_from delete_from discard_from drop_from erase_from strike_from exclude_from
find get look_up search fetch locate retrieve
has contains includes holds
contains includes holds has_in_it
upper uppercase in_capitals
lower lowercase in_small_letters
uppercased upper_case
title titled in_title_case
capitalize capitalise
trimmed stripped cleaned
trim strip clean
join joined glue concatenated
joined connected concatenated linked_up
words word_list
letters characters chars
keys names
values contents
merge combine unite join blend
merged combined united joined blended
union united_with together_with
intersection common shared in_common overlap
difference minus without less except
plus with and together_with added_to
minus less without reduced_by decreased_by
times multiplied_by by multiplied
divided_by per divided split_by over
swap exchange switch interchange trade
copy save duplicate
move transfer shift pass send carry hand_over
rename retitle relabel call_it
is_empty is_blank is_void has_nothing
empty blank void
earlier_than before older_than prior_to
later_than after newer_than since
rise climb
filter select pick keep choose
filtered selected picked kept chosen
all every each
any some
even even_numbered
rotate turn shift_round
first_of initial_of head_of start_of beginning_of
last_of final_of end_of
place position index
index_of position_of place_of where_is
replace substitute exchange change swap_out
replaced substituted exchanged changed
repeat multiply
repeated multiplied
tally count_up
best top champion leading
worst bottom last_placed
popular common frequent
group arrange cluster
grouped clustered arranged classed
days_until days_to days_till
postpone delay defer put_off push_back
advance bring_forward move_up
enable activate turn_on switch_on
disable deactivate turn_off switch_off
toggle flip switch
enabled active on
disabled inactive off
gap distance difference
ratio quotient proportion
share percentage percent portion
middle midpoint centre
range spread span
""".strip().split("\n")
]


def _framed(wording: str) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """(family, member, frame) of every word of a family in a wording; the frame has `*` in its place."""
    for family in FAMILIES:
        for member in family:
            spot = f"_{wording}_".find(f"_{member}_")
            if spot >= 0:
                yield family, member, f"{wording[:spot]}*{wording[spot + len(member) :]}"


def alike(wordings: Iterable[str]) -> list[str]:
    """The wordings an operation may have beside its own."""
    wordings = list(wordings)
    frames: dict[tuple[tuple[str, ...], str], set[str]] = {}
    for wording in wordings:
        for family, member, frame in _framed(wording):
            frames.setdefault((family, frame), set()).add(member)
    out = {}
    for (family, frame), members in frames.items():
        if len(members) > 1:
            for member in family:
                out[frame.replace("*", member)] = True
    return [wording for wording in out if wording not in wordings]


def widened(operations: list, claims: Callable, clash: Callable) -> dict[str, tuple[str, ...]]:
    """{name of an operation: its later wordings}: what no operation claims already, nor two at once.

    claims  `(operation, wordings) -> (key, rest) ...`, clash  whether two rests under one key are both meant
    """
    taken: dict = {}
    for operation in operations:
        for key, rest in claims(operation, operation.wordings):
            taken.setdefault(key, []).append((operation, rest))
    wished = [(operation, wording) for operation in operations for wording in alike(operation.wordings)]
    for operation, wording in wished:
        for key, rest in claims(operation, [wording]):
            taken.setdefault(key, []).append((operation, rest))
    out: dict = {}
    for operation, wording in wished:
        free = all(
            other is operation or not clash(operation, rest, other, theirs)
            for key, rest in claims(operation, [wording])
            for other, theirs in taken[key]
        )
        if free:
            out.setdefault(operation.name, []).append(wording)
    return {name: tuple(wordings) for name, wordings in out.items()}
