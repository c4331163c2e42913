"""Selectors that mean the same as a known method, and selectors that only look as if: for the gauntlet.

Each family has a method that an object already understands, other wordings a person might use for just
that, and near ones that mean something else.  Written by hand, not from the curriculum's lists.  Every other
family is for choosing (`tuning`), the rest for reporting (`held_out`); a noun is drawn for each.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

VERSION = 1
NOUNS = ["florins", "barrels", "lanterns", "quokkas", "sprockets", "marbles", "thimbles", "anchors", "kettles", "ribbons"]


@dataclass(frozen=True)
class Family:
    """`known` is the selector with X for the slot, `body` its method; `same` and `other` are selectors."""

    known: str
    value: Any
    args: tuple[Any, ...]
    body: str
    same: str
    other: str


@dataclass(frozen=True)
class Case:
    """One message: `selector` to an object with `slots` that understands `known`; reused if `means` is true."""

    known: str
    source: str
    slots: dict[str, Any]
    selector: str
    args: tuple[Any, ...]
    means: bool


_TAKE = "if a > self.X:\n        raise ValueError('there is not that much')\n    self.X -= a\n    return self.X"
FAMILIES = [
    Family("withdraw_X", 100, (30,), _TAKE, "take_from_X spend_X deduct_from_X pay_from_X take_out_of_X use_up_X",
           "deposit_X set_X X_minus is_X_above multiply_X"),
    Family("increase_X", 100, (5,), "self.X += a\n    return self.X", "add_to_X raise_X increment_X_by grow_X deposit_X top_up_X",
           "X_plus decrease_X multiply_X cap_X_at set_X"),
    Family("decrease_X", 100, (5,), "self.X -= a\n    return self.X", "lower_X reduce_X_by subtract_from_X decrement_X_by shrink_X cut_X_by",
           "X_minus increase_X divide_X set_X"),
    Family("double_X", 21, (), "self.X *= 2\n    return self.X", "X_times_two make_X_twice_as_big multiply_X_by_two duplicate_X",
           "doubled_X triple_X halve_X X_squared"),
    Family("reset_X", 21, (), "self.X = 0\n    return self.X", "zero_X clear_X set_X_to_zero wipe_X restart_X empty_X",
           "negate_X double_X is_X_zero"),
    Family("set_X", 21, (5,), "self.X = a\n    return self.X", "change_X_to update_X assign_X set_X_to replace_X make_X",
           "increase_X is_X X_plus"),
    Family("doubled_X", 21, (), "return self.X * 2", "twice_X X_times_two two_times_X X_doubled double_of_X",
           "double_X X_squared half_of_X"),
    Family("half_of_X", 20, (), "return self.X / 2", "halved_X X_halved X_divided_by_two one_half_of_X", "halve_X doubled_X X_squared"),
    Family("X_squared", 7, (), "return self.X ** 2", "square_of_X squared_X X_to_the_power_of_two X_times_itself", "doubled_X square_root_of_X X_cubed"),
    Family("is_X_above", 21, (5,), "return self.X > a", "is_X_more_than is_X_greater_than is_X_over does_X_exceed is_X_higher_than X_exceeds",
           "is_X_below is_X X_minus is_X_at_least"),
    Family("is_X_below", 21, (5,), "return self.X < a", "is_X_less_than is_X_under is_X_smaller_than is_X_lower_than", "is_X_above is_X_at_most"),
    Family("is_X_zero", 21, (), "return self.X == 0", "is_X_nothing is_X_nil X_is_zero is_X_equal_to_zero", "reset_X is_X_positive is_X_even"),
    Family("is_X_even", 21, (), "return self.X % 2 == 0", "X_is_even is_X_divisible_by_two is_X_an_even_number", "is_X_odd is_X_zero half_of_X"),
    Family("sum_of_X", [3, 9, 4], (), "return sum(self.X)", "total_X total_of_X X_total X_sum add_up_X sum_X combined_X",
           "average_X largest_X count_X product_of_X"),
    Family("average_X", [3, 9, 4], (), "if not self.X:\n        raise ValueError('none')\n    return sum(self.X) / len(self.X)",
           "mean_X mean_of_X average_of_X X_average X_mean", "sum_of_X median_X largest_X"),
    Family("largest_X", [3, 9, 4], (), "if not self.X:\n        raise ValueError('none')\n    return max(self.X)",
           "biggest_X maximum_X highest_X max_of_X greatest_X top_X", "smallest_X sum_of_X last_X"),
    Family("smallest_X", [3, 9, 4], (), "if not self.X:\n        raise ValueError('none')\n    return min(self.X)",
           "lowest_X minimum_X least_X min_of_X tiniest_X", "largest_X first_X sum_of_X"),
    Family("count_X", [3, 9, 4], (), "return len(self.X)", "number_of_X how_many_X size_of_X X_count length_of_X X_size amount_of_X",
           "sum_of_X largest_X is_X_empty"),
    Family("first_X", [3, 9, 4], (), "if not self.X:\n        raise ValueError('none')\n    return self.X[0]", "X_first head_of_X front_of_X start_of_X earliest_X",
           "last_X smallest_X sorted_X"),
    Family("last_X", [3, 9, 4], (), "if not self.X:\n        raise ValueError('none')\n    return self.X[-1]", "X_last end_of_X final_X most_recent_X newest_X",
           "first_X largest_X pop_X"),
    Family("sorted_X", [3, 9, 4], (), "return sorted(self.X)", "X_sorted ordered_X X_in_order ascending_X arranged_X",
           "sort_X reversed_X largest_X"),
    Family("reversed_X", [3, 9, 4], (), "return self.X[::-1]", "X_reversed backwards_X X_backwards X_in_reverse flipped_X inverted_X",
           "reverse_X sorted_X last_X"),
    Family("sort_X", [3, 9, 4], (), "self.X.sort()\n    return len(self.X)", "order_X arrange_X put_X_in_order rank_X", "sorted_X reverse_X"),
    Family("reverse_X", [3, 9, 4], (), "self.X.reverse()\n    return len(self.X)", "flip_X turn_X_around invert_X turn_round_X", "reversed_X sort_X"),
    Family("clear_X", [3, 9, 4], (), "self.X.clear()\n    return len(self.X)", "empty_X remove_all_X wipe_X delete_all_X reset_X", "count_X is_X_empty"),
    Family("add_X", [3, 9, 4], (5,), "self.X.append(a)\n    return len(self.X)", "append_X append_to_X add_to_X push_X include_X register_X",
           "remove_X has_X X_above"),
    Family("remove_X", [3, 9, 4], (9,), "if a not in self.X:\n        raise ValueError('it is not there')\n    self.X.remove(a)\n    return len(self.X)",
           "delete_X drop_X discard_X take_out_of_X erase_X remove_from_X", "add_X has_X count_X"),
    Family("has_X", [3, 9, 4], (9,), "return a in self.X", "contains_X includes_X is_in_X X_contains X_includes", "add_X remove_X is_X_empty"),
    Family("is_X_empty", [3, 9, 4], (), "return not self.X", "are_X_empty has_no_X X_is_empty no_X_left", "clear_X count_X"),
    Family("X_above", [3, 9, 4], (5,), "return [each for each in self.X if each > a]", "X_over X_greater_than X_more_than X_exceeding X_higher_than",
           "X_below is_X_above count_X_above"),
    Family("X_below", [3, 9, 4], (5,), "return [each for each in self.X if each < a]", "X_under X_less_than X_smaller_than X_lower_than", "X_above first_X"),
    Family("unique_X", [3, 9, 3], (), "return list(dict.fromkeys(self.X))", "distinct_X different_X X_without_duplicates deduplicated_X",
           "count_X sorted_X"),
    Family("upper_X", "red fox", (), "return self.X.upper()", "X_in_capitals uppercase_X X_in_upper_case uppercased_X X_upper capitals_of_X",
           "lower_X title_X X_length"),
    Family("lower_X", "Red Fox", (), "return self.X.lower()", "lowercase_X X_in_lower_case X_in_small_letters lowercased_X X_lower", "upper_X title_X reversed_X"),
    Family("X_length", "red fox", (), "return len(self.X)", "length_of_X X_size number_of_letters_in_X how_long_is_X characters_in_X size_of_X",
           "words_in_X first_letter_of_X upper_X"),
    Family("words_in_X", "red fox", (), "return len(self.X.split())", "number_of_words_in_X count_words_in_X how_many_words_in_X X_word_count word_count_of_X",
           "X_length first_word_of_X upper_X"),
    Family("X_starts_with", "red fox", ("re",), "return self.X.startswith(a)", "does_X_start_with does_X_begin_with X_begins_with is_X_starting_with",
           "X_ends_with X_contains X_length"),
    Family("put_in_X", {"a": 3, "b": 9}, ("c", 5), "self.X[a] = b\n    return b", "store_in_X set_in_X save_in_X insert_in_X put_into_X keep_in_X",
           "remove_from_X X_of count_X"),
    Family("best_in_X", {"a": 3, "b": 9}, (), "if not self.X:\n        raise ValueError('none')\n    return max(self.X, key=self.X.get)",
           "winner_in_X top_of_X leader_in_X highest_in_X best_of_X", "worst_in_X largest_value_in_X count_X"),
    Family("total_of_X", {"a": 3, "b": 9}, (), "return sum(self.X.values())", "sum_of_X X_total total_X sum_of_values_in_X added_up_X",
           "count_X best_in_X average_X"),
]  # fmt: skip


def cases(held_out: bool) -> Iterator[Case]:
    """The messages of one half."""
    rng = random.Random(f"paraphrases {VERSION}")
    for number, family in enumerate(FAMILIES):
        noun, keeper = rng.choice(NOUNS), rng.choice(["Ada", "Bela", "Cleo"])
        if (number % 2 == 1) != held_out:
            continue
        names = ["a", "b"][: len(family.args)]
        head = f"def {family.known}({', '.join(['self', *names])}):\n    {family.body}\n"
        for words, means in ((family.same, True), (family.other, False)):
            for selector in words.split():
                yield Case(
                    family.known.replace("X", noun), head.replace("X", noun), {noun: family.value, "keeper": keeper},
                    selector.replace("X", noun), family.args, means,
                )  # fmt: skip
