"""The names of the language of methods: what stands ready, and what compiled code calls by hooks of its own.

Whoever gives methods a new built-in puts it into `BUILTINS`; a new module is a facade (`facades`).  What
people write that is not there stands in `INSTEAD` with what to write instead.
"""

from __future__ import annotations

import builtins
from typing import Any

from batos.guardian import consumers, facades, growth, guards, kinds, texts
from batos.objects import fuel, weight
from batos.objects.uvm_object import UvmObject

_MISSING = object()

# What a method may raise and catch.  Not the groups, which hold others, nor what ends a process or a turn; not
# SyntaxError, whose printing reads the file it names.
_EXCEPTIONS = tuple(
    each
    for each in vars(builtins).values()
    if isinstance(each, type)
    and issubclass(each, Exception)
    and not issubclass(each, (ExceptionGroup, SyntaxError))
)

BUILTINS: dict[str, Any] = {
    **{kind.__name__: kind for kind in _EXCEPTIONS},
    "Ellipsis": ..., "NotImplemented": NotImplemented, "abs": abs, "all": all, "any": any,
    "ascii": lambda value: ascii(growth.shown(value)), "bin": bin, "bool": bool, "bytes": kinds.BYTES,
    "callable": guards.is_callable, "chr": chr, "complex": complex, "delattr": guards.del_attr,
    "dict": consumers.DICT, "divmod": divmod, "enumerate": growth.lazy(enumerate),
    "filter": growth.lazy(consumers.filtered),
    "float": float, "format": lambda value, spec="": texts.formatted(value, "", spec),
    "frozenset": consumers.FROZENSET, "getattr": guards.get_attr, "hasattr": guards.has_attr, "hex": hex,
    "int": kinds.INT, "isinstance": kinds.is_instance, "iter": lambda items: growth.Lazy(iter(items)),
    "len": len, "list": consumers.LIST, "map": growth.lazy(consumers.mapped), "max": consumers.greatest,
    "min": consumers.least, "next": next, "oct": oct,
    "ord": ord, "pow": growth.power, "range": kinds.RANGE, "repr": lambda value: repr(growth.shown(value)),
    "reversed": growth.lazy(reversed), "round": growth.rounded, "set": consumers.SET,
    "setattr": guards.set_attr,
    "slice": kinds.SLICE, "sorted": consumers.ordered, "str": kinds.STR, "sum": growth.total,
    "tuple": consumers.TUPLE,
    "type": kinds.type_of, "zip": growth.lazy(zip),
}  # fmt: skip

kinds.named(
    *BUILTINS.values(),
    *(getattr(handed, name) for handed in facades.MODULES.values() for name in vars(type(handed))),
)

HOOKS: dict[str, Any] = {
    "_getattr_": guards.get_attribute, "_send_0_": guards.send_0, "_send_1_": guards.send_1,
    "_send_2_": guards.send_2, "_send_n_": guards.send_n,
    "_resend_": guards.resend, "_write_": guards.write, "_tank_": fuel.tank, "_look_": fuel.look,
    "_type_": type, "_len_": len,
    "_object_": UvmObject, "_str_": str, "_list_": list, "_dict_": dict, "_set_": set, "_kind_": guards.kept,
    "_add_": growth.add, "_mul_": growth.multiply, "_div_": growth.divide, "_caught_": kinds.caught,
    "_pow_": growth.power, "_shl_": growth.shift_left,
    "_mod_": texts.modulo, "_iadd_": growth.add_in_place, "_imul_": growth.multiply_in_place,
    "_grow_": growth.grow, "_sized_": growth.sized, "_shown_": growth.shown, "_format_": texts.formatted,
    "_missing_": _MISSING, "_slice_": slice, "_lazy_": growth.Lazy, "_now_enumerate_": enumerate,
    "_now_filter_": consumers.filtered, "_now_map_": consumers.mapped, "_now_reversed_": reversed,
    "_now_zip_": zip,
    "_make_set_": consumers.SET.make, "_make_dict_": consumers.DICT.make,
    "_and_": consumers.intersected, "_or_": consumers.united, "_xor_": consumers.differing,
    "_sub_": consumers.less_by, "_iand_": consumers.intersected_in_place,
    "_ior_": consumers.united_in_place, "_ixor_": consumers.differing_in_place,
    "_isub_": consumers.less_by_in_place,
    "_make_list_": list, "_make_tuple_": tuple, "_make_frozenset_": consumers.FROZENSET.make,
    "_max_2_": consumers.greatest.of_two,
    "_min_2_": consumers.least.of_two, "_max_1_": consumers.greatest.of_one,
    "_min_1_": consumers.least.of_one,
    "_light_": weight.LIGHT, "_hashing_": consumers.HASHING, "_keyed_": weight.keyed,
    "_weighed_": consumers.weighed, "_hashable_": consumers.hashable, "_in_": consumers.contains,
    "_not_in_": consumers.excludes, "_eq_": consumers.equal, "_ne_": consumers.unequal,
    "_lt_": consumers.less,
    "_le_": consumers.at_most, "_gt_": consumers.greater, "_ge_": consumers.at_least,
    "_make_int_": kinds.INT.make, "_make_str_": kinds.STR.make, "_make_range_": kinds.RANGE.make,
    "_case_list_": kinds.family(list), "_case_dict_": kinds.family(dict),
    "_case_set_": kinds.family(set), "_case_frozenset_": frozenset, "_case_tuple_": tuple,
    "_case_int_": int, "_case_str_": str, "_case_bytes_": bytes,
}  # fmt: skip

GLOBALS: dict[str, Any] = {"__builtins__": {}, **BUILTINS, **facades.MODULES, **HOOKS}

INSTEAD = {
    "super": "write `self.resend('name', ...)` to run the parents' method",
    "print": "answer what you want to show with `return`",
    "input": "take it as an argument",
    "open": "methods reach no files; `remember` puts documents into the image",
    "exec": "text becomes behaviour only through `define`",
    "eval": "text becomes behaviour only through `define`",
    "compile": "text becomes behaviour only through `define`",
    "__import__": "the modules at hand stand ready by name: " + ", ".join(facades.MODULES),
    "object": "make a new object with `self.clone()`",
    "vars": "read slots by name, or send `self.slots()`",
    "dir": "send `self.slots()` or `self.selectors()`",
    "globals": "state belongs in slots",
    "locals": "state belongs in slots",
    "id": "objects are compared with `is`",
    "hash": "keep the value itself as the key",
    "operator": "write the operation itself, or a lambda",
    "time": "a method cannot wait, and the time of day is a power: put caps_obj.clock into a slot and send it `now()`",
    "this": "the object itself is the first parameter, `self`",
    "true": "write True",
    "false": "write False",
    **dict.fromkeys(("null", "nil", "undefined", "none"), "write None"),
    **dict.fromkeys(
        "os sys subprocess socket pathlib shutil requests urllib http logging threading asyncio".split(),
        "methods reach nothing outside the image but by an object in a slot that hands it out",
    ),
    **dict.fromkeys(
        "np numpy pd pandas".split(), "write it with lists, `sum`, and the modules `math` and `statistics`"
    ),
    "uuid": "an object is found by its own id; `random` draws numbers",
    "BaseException": "catch Exception; what is beyond it is the end of the turn",
}
