"""Each payload in process under the policy: refused with rule and line, or run without touching anything.

`python -m scripts.escapes.policy ONLY FIRST PATH PORT PID WON` runs the payloads whose name holds ONLY, from
number FIRST on, and prints one JSON line each; in a process of its own, for it may be ended.
"""

from __future__ import annotations

import builtins
import decimal
import faulthandler
import io
import json
import os
import pickle
import resource
import sys
import time
from collections import Counter
from pathlib import Path
from threading import get_ident
from typing import Any

import ZODB
from persistent import Persistent

import batos
from batos.errors import BatosError
from batos.guardian import consumers, facades, growth, guards, judge, kinds, names, policy, texts, transformer, trial
from batos.image.root import Root
from batos.objects import UvmObject, containers, fuel, lookup, snapshot, weight
from batos.objects.genesis import genesis
from batos.objects.lookup import Activation, Missed, activated, send
from batos.objects.method import Method, use_compiler
from batos.objects.plain import NotPlain, plain
from scripts.escapes.payloads import Payload, every

SECONDS = 0.1  # of fuel
OVERRUN = 1.5  # seconds of CPU a payload may take although its fuel is that
LONGEST = 8.0  # seconds after which the process is ended, and that is a finding
MEMORY = 16 << 30  # of address space, much of which nobody touches; `fuel` ends what fills it
MODULES = (
    builtins, os, sys, json, time, pickle, policy, transformer, names, guards, growth,
    kinds, texts, consumers, weight, facades, fuel, lookup, containers, trial,
    *(sys.modules[name] for name in ("math", "random", "re", "string", "collections", "datetime", "decimal")),
)  # fmt: skip
CLASSES = (
    UvmObject,
    Method,
    containers.List,
    containers.Dict,
    containers.Set,
    kinds.Guarded,
    growth.Lazy,
    dict,
)

PACKAGE = str(Path(batos.__file__).parent)
_attempted: Counter[str] = Counter()
_watching: int | None = None  # the thread that runs a payload; what another does is not the payload's doing


def _watch(event: str, arguments: Any) -> None:
    if _watching != get_ident() or event.partition(".")[0] not in trial.OUTSIDE:
        return
    if event == "open" and str(arguments[0]).startswith(PACKAGE) and arguments[1] in ("r", "rb", None):
        return  # `source` of a word that batos brings along reads the file it stands in
    _attempted[event] += 1


def account(traits: UvmObject) -> UvmObject:
    """An object with a parent, containers and a friend, as a mission would have it."""
    friend = UvmObject(traits, balance=1, log=[1])
    friend._name = "friend"
    made = UvmObject(traits, balance=100, log=[1, 2], rates={"a": 2}, friend=friend)
    made._name = "account"
    return made


def image() -> Root:
    """A newborn image in memory, with an account that the payload is a method of, and one it has nothing to do with."""
    root = Root(ZODB.connection(None))
    genesis(root)
    for name in ("account", "bystander"):
        setattr(root["lobby"], name, account(root["traits_obj"]))
    root.connection.transaction_manager.commit()
    return root


def sentinel(bystander: UvmObject) -> dict[str, Any]:
    """What a payload must leave as it is: names of modules and classes, what methods are given, an object."""
    told: dict[str, Any] = {}
    for module in MODULES:
        told |= {f"{module.__name__}.{name}": id(value) for name, value in vars(module).items()}
    for kind in CLASSES:
        told |= {f"{kind.__name__}.{name}": id(value) for name, value in vars(kind).items()}
    for table in (names.BUILTINS, names.GLOBALS, names.HOOKS, facades.MODULES):
        told |= {f"{id(table)}.{name}": id(value) for name, value in table.items()}
    for name, facade in facades.MODULES.items():
        told |= {f"{name}.{each}": id(vars(type(facade)).get(each)) for each in dir(facade)}
    told["bystander"] = json.dumps(snapshot.to_data(bystander, []), default=repr)
    told["path"], told["environ"] = tuple(sys.path), dict(os.environ)
    context = decimal.getcontext()  # of this thread, for all turns; its flags nobody can ask for
    told["decimal"] = context.prec, context.rounding, context.Emin, context.Emax, str(context.traps)
    told["recursion"] = sys.getrecursionlimit()
    return told


class _Pickler(pickle.Pickler):
    """Writes one record, as a storage would: what is persistent in it is a record of its own."""

    def __init__(self, file: io.BytesIO, others: list[Persistent]):
        super().__init__(file)
        self.others = others

    def persistent_id(self, obj: Any) -> Any:
        if not isinstance(obj, Persistent):
            return None
        self.others.append(obj)
        return id(obj)


class _Unpickler(pickle.Unpickler):
    def persistent_load(self, _: Any) -> Any:
        return None


def unkeepable(*roots: Persistent) -> str | None:
    """Why a state reached from these could not be written and read again, or None."""
    waiting, seen = list(roots), set()
    while waiting:
        obj = waiting.pop()
        if id(obj) in seen:
            continue
        seen.add(id(obj))
        buffer, others = io.BytesIO(), []
        try:
            _Pickler(buffer, others).dump(obj.__getstate__())
            buffer.seek(0)
            _Unpickler(buffer).load()
        except Exception as exc:  # noqa: BLE001
            return f"{type(exc).__name__}: {exc}"
        waiting += [each for each in others if each is not obj]
    return None


def under_policy(payload: Payload, arguments: list[Any]) -> dict[str, Any]:
    """How it ended (refused, ran, ended), its rule and line or what it said, what it should not have done."""
    global _watching
    verdict = judge(payload.source)
    if not verdict.passed:
        refusal = verdict.refusal()
        found = (
            []
            if refusal.rule and (refusal.line or refusal.rule == "too-large")
            else ["refused without rule and line"]
        )
        return {"end": "refused", "rule": refusal.rule, "line": refusal.line, "found": found}
    root = image()
    receiver, bystander = root.account, root.bystander
    method = Method("m")
    method.add_version(verdict.source, "payload", "accepted")
    receiver._install(method)
    before, friend, found = sentinel(bystander), receiver.friend, []
    _attempted.clear()
    started, spent = time.monotonic(), time.process_time()
    _watching = get_ident()
    end, said = "ran", ""
    try:
        with activated(Activation(who="payload")), fuel.spend(started + SECONDS):
            said = json.dumps(plain(send(receiver, "m", tuple(arguments), {})))
    except (fuel.OutOfFuel, Missed) as exc:
        end = "ended"
        said = type(exc).__name__
    except MemoryError:
        found.append("took 16 GB of memory")
    except (Exception, RecursionError) as exc:  # noqa: BLE001
        said = f"{type(exc).__name__}: {exc} {exc.args}"
        if isinstance(exc, (BatosError, NotPlain)):
            end = "ended"
    except BaseException as exc:  # noqa: BLE001
        found.append(f"raised {type(exc).__name__} past its turn")
    finally:
        _watching = None
    took = time.process_time() - spent
    if took > OVERRUN:
        found.append(f"ran for {took:.1f} s")
    found += [f"audit event {event}" for event in _attempted]
    after = sentinel(bystander)
    found += [
        f"changed {name}" for name in before.keys() | after.keys() if before.get(name) != after.get(name)
    ]
    why = unkeepable(receiver, friend)
    if why is not None:
        found.append(f"left a state that cannot be kept: {why}")
    root.connection.transaction_manager.abort()
    root.connection.close()  # and its database with it
    return {"end": end, "said": said[:2000], "found": found}


def main() -> None:
    only, first, path, port, pid, won = sys.argv[1:]
    arguments = [path, int(port), int(pid), won]
    use_compiler(policy.compile_method)
    mapped = (
        int(open("/proc/self/statm").read().split()[0]) * 4096 if os.path.exists("/proc/self/statm") else 0
    )
    resource.setrlimit(resource.RLIMIT_AS, (mapped + MEMORY, mapped + MEMORY))
    sys.addaudithook(_watch)
    payloads = [each for each in every() if only in str(each)]
    for number, payload in enumerate(payloads[int(first) :], int(first)):
        print(json.dumps({"number": number, "begins": str(payload)}), flush=True)
        faulthandler.dump_traceback_later(LONGEST, exit=True)
        print(json.dumps({"number": number, **under_policy(payload, arguments)}), flush=True)


if __name__ == "__main__":
    main()
