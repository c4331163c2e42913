"""What every object understands: the primitives of traits_obj, which is the last parent of them all.

These are the words of section 4 of the contract.  They are ordinary methods whose body is Python
because they reach below slots; an object may extend them, except the seven that are how a person
takes things back (`uvm_object.PROTECTED`).
"""

from __future__ import annotations

from typing import Any

from batos.errors import BadRequest, Conflict, NotUnderstood, Refused, WrongArguments
from batos.objects import permission
from batos.objects.dispatch import MISSING, changed, delegates, lookup, own, search
from batos.objects.lookup import activation, visible
from batos.objects.method import PRIMITIVES, Method, primitive
from batos.objects.probation import ON
from batos.objects.uvm_object import PROTECTED, UvmObject
from batos.objects.weight import shortly

# What `describe` tells of a method batos wrote, beside what it tells of every method.
PROVENANCE = ("repairs", "model", "experts", "voices", "rehearsal", "audit", "doc")
# Of the names that start with "_" this one may be defined: how a state of the machine thinks.
OPEN_WORDS = frozenset({"_process_synthesis_"})


def public(name: Any, what: str = "a slot") -> str:
    """`name` if it may name a slot or selector, else `BadRequest` with the reason."""
    if not isinstance(name, str) or not name.isidentifier():
        raise BadRequest(
            f"{shortly(name)} cannot name {what}: use letters, digits and '_', no digit first"
        )
    if name.startswith("_"):
        raise BadRequest(f"{name!r} cannot name {what}: names that start with '_' belong to batos")
    return name


def lobby_of(obj: UvmObject) -> UvmObject | None:
    """The lobby of the image `obj` lives in, None outside an image (a rehearsal)."""
    jar = obj._p_jar
    return jar.root().get("lobby") if jar is not None else None


def bind(lobby: UvmObject, name: str, obj: UvmObject) -> None:
    """Give an object a name in the lobby; `Conflict` where the name is taken."""
    if public(name, "an object") in PROTECTED:
        raise BadRequest(f"{name!r} is one of the words every object keeps; choose another name")
    if own(lobby, name) is not MISSING or name in lobby._p_jar.root() or name == "kernel":
        raise Conflict(
            f"the name {name!r} is taken", hint=f"look at it with `inspect {name}`, or choose another name"
        )
    setattr(lobby, name, obj)
    obj._name = name


@primitive
def clone(self, called=None, **slots):
    """A new object like this one; with `called`, also bound to that name in the lobby."""
    for name in slots:
        public(name)
    lobby = lobby_of(self) if called is not None or self.__dict__.get("_name") == "lobby" else None
    if self is lobby:
        fresh = UvmObject(*lobby._p_jar.root()["genesis_obj"]._parents())
        for name, value in slots.items():
            setattr(fresh, name, value)
        fresh._prototype = None
    else:
        fresh = self._clone_persistent_(**slots)
    if self._p_jar is not None:
        self._p_jar.add(fresh)
    if called is not None:
        if lobby is None:
            raise Refused("a rehearsal has no lobby to name things in", rule="outside")
        bind(lobby, called, fresh)
    return fresh


@primitive
def slots(self):
    """The data slots: own, and inherited ones not shadowed by an own slot."""
    told = {"own": {}, "inherited": {}}
    for holder, name, value in visible(self):
        if not isinstance(value, Method):
            told["own" if holder is self else "inherited"][name] = value
    return told


@primitive
def selectors(self):
    """The selectors of methods: own, and inherited ones."""
    told = {"own": [], "inherited": []}
    for holder, name, value in visible(self):
        if isinstance(value, Method):
            told["own" if holder is self else "inherited"].append(name)
    return {where: sorted(names) for where, names in told.items()}


@primitive
def parents(self):
    """The parents, in order."""
    return self._parents()


@primitive
def describe(self):
    """Slots, methods and parents, with who wrote each method and when."""
    own_methods, inherited = [], []
    for holder, name, value in visible(self):
        if isinstance(value, Method):
            told = {"selector": name, "parameters": value.signature(), "holder": holder}
            if value.primitive is None:
                record = value.record()
                told |= {
                    each: record.get(each) for each in ("version", "author", "time", "mission", "verdict")
                }
                told |= {each: record[each] for each in PROVENANCE if record.get(each)}
                if value.current in value.probation:
                    told["probation"] = dict(value.probation[value.current])
            (own_methods if holder is self else inherited).append(told)
    return {
        "object": self,
        "slots": PRIMITIVES["slots"](self),
        "methods": {"own": own_methods, "inherited": inherited},
        "parents": self._parents(),
        "born": self.__dict__.get("_born"),
        "prototype": self.__dict__.get("_prototype"),
    }


@primitive
def get(self, name):
    """The value of a data slot, through the parents."""
    _, value = lookup(self, public(name))
    if value is MISSING or isinstance(value, Method):
        raise NotUnderstood(f"{self!r} has no data slot {name!r}", hint="see what there is with `slots`")
    return value


@primitive
def put(self, name, value):
    """Make or change an own data slot; answers the value put."""
    permission.check_ground(self)
    lobby = lobby_of(self)
    if self is lobby and isinstance(value, UvmObject) and own(lobby, name) is not value:
        bind(lobby, name, value)
    else:
        setattr(self, public(name), value)
    return self.__dict__[name]


@primitive
def forget(self, name):
    """Remove an own slot: the old value of a data slot, the source of a method (its versions stay)."""
    permission.check_ground(self)
    value = own(self, public(name))
    if value is MISSING:
        raise NotUnderstood(
            f"{self!r} has no slot {name!r} of its own", hint="see what there is with `slots`"
        )
    if isinstance(value, Method):
        if value.primitive is not None:
            raise BadRequest(f"{name!r} is a primitive of {self!r} and stays as it is")
        source_text = value.source
        own_method(self, name).current = None
        return source_text
    delattr(self, name)
    if isinstance(value, UvmObject) and self is lobby_of(self) and repr(value) == name:
        value._name = None
    return value


def install(
    holder: UvmObject, verdict: Any, author: str, kinds: list[str] | None = None, **provenance: Any
) -> dict[str, Any]:
    """Put judged source in its slot as the newest version; answers the version's record.

    The only road by which source becomes behaviour: it cannot be called without a passing verdict
    (`Refused` otherwise), and the verdict is kept with the version.  With `kinds`, those of the arguments
    it was learned with (`probation.kinds_of`), it begins its probation.
    """
    if not verdict.passed:
        raise verdict.refusal()
    permission.check_define(holder, author, provenance.get("mission"))
    selector = verdict.selector if verdict.selector in OPEN_WORDS else public(verdict.selector, "a method")
    method = holder._method(selector) or Method(selector)
    if method.primitive is not None:
        raise BadRequest(f"{selector!r} is a primitive of {holder!r} and stays as it is")
    method = method.private()
    newest = method.recent[-1] if method.recent else {}
    if newest.get("examples"):  # what was taught about a method holds for every later version
        provenance.setdefault("examples", newest["examples"])
    record = method.add_version(
        verdict.source, author, verdict.outcome, repairs=list(verdict.repairs), **provenance
    )
    if kinds is not None:
        begun = {"state": ON, "calls": 0, "failed": 0, "why": None, "kinds": kinds}
        method.probation = {**method.probation, record["version"]: begun}
    holder._install(method)
    return record


@primitive
def define(self, source):
    """Install `def selector(self, ...)` through the guardian."""
    if not isinstance(source, str):
        raise WrongArguments("define takes one text: the source of `def selector(self, ...)`")
    current = activation()
    if current.judge is None:
        raise Refused("methods are not defined in a rehearsal", rule="outside")
    permission.check_ground(self)
    verdict = current.judge(source, None, self)
    # A method that defines another is its author's doing, whoever sent the message that runs it.
    by = permission.writer()
    record = install(self, verdict, by.author, mission=by.mission)
    return {
        "selector": verdict.selector,
        "version": record["version"],
        "verdict": verdict.outcome,
        "repairs": list(verdict.repairs),
    }


def own_method(holder: UvmObject, selector: str) -> Method:
    """The holder's own method, ready to be changed: a copy of its own where others hold it too."""
    permission.check_ground(holder)
    permission.check_define(holder)
    method = holder._method(selector)
    if method.shared:
        method = method.private()
        holder._methods = {**holder.__dict__["_methods"], selector: method}
    holder._p_changed = True  # its change record names it
    return method


def _selector(name: Any) -> str:
    if not isinstance(name, str):
        raise WrongArguments(f"a selector is a text, not {shortly(name)}")
    return name


def method_of(obj: UvmObject, selector: str) -> Method:
    """The method `selector` seen from `obj`; `NotUnderstood` naming what is near."""
    _, found = lookup(obj, _selector(selector))
    if not isinstance(found, Method):
        own_method = obj._method(selector)
        if own_method is not None:
            return own_method
        raise NotUnderstood(f"{obj!r} has no method {selector!r}", hint="see what there is with `selectors`")
    return found


@primitive
def source(self, selector):
    """The installed (repaired) Python of a method, looked up through the parents."""
    return method_of(self, selector).source


@primitive
def versions(self, selector):
    """Every version of a method, oldest first."""
    return method_of(self, selector).told_versions()


@primitive
def revert(self, selector, version=None):
    """Install an earlier version again, by default the one before; answers the version now installed."""
    method = self._method(_selector(selector))
    if method is None or method.primitive is not None:
        raise NotUnderstood(f"{self!r} has no method {selector!r} of its own", hint="see `versions`")
    if version is None:
        numbers = [each["version"] for each in method.versions]
        earlier = [each for each in numbers if method.current is None or each < method.current]
        if not earlier:
            raise NotUnderstood(
                f"{selector!r} has no earlier version", hint=f"take it out with `forget {selector}`"
            )
        version = earlier[-1]
    if not isinstance(version, int) or isinstance(version, bool):
        raise WrongArguments(f"a version is a number, not {shortly(version)}")
    if method.record(version)["verdict"] == "refused":
        raise Refused(
            f"version {version} of {selector!r} was refused when it came in",
            rule="refused",
            hint=f"choose another one: `versions {selector}`",
        )
    if selector in self.__dict__:
        raise BadRequest(
            f"{selector!r} is a data slot of {self!r} now", hint=f"forget it first: `forget {selector}`"
        )
    own_method(self, selector).current = version
    return version


@primitive
def responds_to(self, selector):
    """Would a send of `selector` find a slot?  Never a mission."""
    return (
        isinstance(selector, str)
        and not selector.startswith("_")
        and lookup(self, selector)[1] is not MISSING
    )


OF_IDENTITY = ("_name", "_last_change")  # what is known of an identity, whatever state it has


@primitive
def become(self, other):
    """Two-way: every reference to the one now reaches what was the other."""
    if not isinstance(other, UvmObject):
        raise WrongArguments("become takes an object")
    if self is other:
        return None
    for obj in (self, other):
        if obj._p_jar is not None and any(each is obj for each in obj._p_jar.root().values()):
            raise BadRequest(
                f"{obj!r} is one of the objects batos itself stands on, and stays who it is",
                hint="change its slots, or let it adopt another parent",
            )
    for obj in (self, other):
        permission.check_identity(obj)
    for child, ancestor in ((self, other), (other, self)):
        if delegates(child, ancestor):
            raise BadRequest(
                f"{child!r} delegates to {ancestor!r} and would become an ancestor of itself",
                hint="disown that parent first",
            )
    self._p_activate(), other._p_activate()
    mine, theirs = dict(self.__dict__), dict(other.__dict__)
    for obj, old, new in ((self, mine, theirs), (other, theirs, mine)):
        obj._p_changed = True
        obj.__dict__.clear()
        obj.__dict__.update((name, value) for name, value in new.items() if name not in OF_IDENTITY)
        obj.__dict__.update((name, old[name]) for name in OF_IDENTITY if name in old)
        changed(obj)
    return None


@primitive
def adopt(self, parent):
    """Delegate to `parent` too, after the parents there are; answers the parents."""
    if not isinstance(parent, UvmObject):
        raise WrongArguments("adopt takes an object")
    if parent is self:
        raise BadRequest(f"{self!r} cannot be a parent of itself")
    permission.check_ground(self)
    self._adopt(parent)
    return self._parents()


@primitive
def disown(self, parent):
    """Delegate to `parent` no longer; answers the parents."""
    permission.check_ground(self)
    if not isinstance(parent, UvmObject):
        raise WrongArguments(f"disown takes one of the parents, not {shortly(parent)}")
    left = [each for each in self._parents() if each is not parent]
    if own(self, "adopt") is MISSING and all(search(each, "adopt")[1] is MISSING for each in left):
        raise BadRequest(
            f"without {parent!r} {self!r} would not understand even `adopt`",
            hint="adopt another parent first",
        )
    self._disown(parent)
    return self._parents()


EVERY_OBJECT = (
    "clone", "slots", "selectors", "parents", "describe", "get", "put", "forget", "define", "source", "versions",
    "revert", "responds_to", "become", "adopt", "disown",
)  # fmt: skip


def make_traits() -> UvmObject:
    """The object that holds these words."""
    traits = UvmObject()
    for name in EVERY_OBJECT:
        traits._install(Method(name, primitive=name))
    return traits
