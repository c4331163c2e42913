"""The schema of an image: a number in its root, and the way from every older number to this edition's.

Owned here: what an edition may open (`check`), the table of migrations (`MIGRATIONS`), their run
(`migrate`), and the names of classes that have moved (`ALIASES`).  `genesis.SCHEMA` is the number a newborn
image gets; whoever changes what is written into images raises it and adds a row.

A migration runs when the image is opened, before anybody sees it: whoever sends to an awake image meets
objects of one schema only.  The price is the time of that one opening, about a minute for a million objects.
It goes object by object in batches, each batch a transaction that also moves the cursor kept in the root, so
that one which is killed goes on where it was.  Rows never remove what an older batos needs before the last
batch has raised the number; from then on an older batos refuses the image with a sentence.

The past seen through `at` keeps the schema it was written in: readers tolerate what is missing there.
"""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import transaction
from persistent import Persistent
from ZODB import DB
from ZODB.broken import find_global
from ZODB.Connection import Connection
from ZODB.utils import get_pickle_metadata, p64, u64

from batos.errors import NewerImage
from batos.image.changes import tree
from batos.image.trees import ByKey
from batos.objects.genesis import SCHEMA

log = logging.getLogger(__name__)

BATCH = 1_000  # objects looked at in a transaction: the storage writes about as fast as it ever will

# (module, name) of a class as records say it -> where it lives now.  A record is written with the new name
# the next time its object changes; until a schema has rewritten them all, a row stays.
ALIASES: dict[tuple[str, str], tuple[str, str]] = {}


@dataclass(frozen=True, slots=True)
class Migration:
    """One step: the schema it leads to, and what it does.

    why    what changes, in a few words
    kinds  ``module.Class`` of the records that `each` is for, as they are written; empty: every record
    each   `each(obj)` changes one object, and may be called again on one it has changed
    root   `root(names)` changes what stands at the root; called once, in the last transaction
    """

    to: int
    why: str
    kinds: frozenset[str] = frozenset()
    each: Callable[[Persistent], None] | None = None
    root: Callable[[Any], None] | None = None


def find_class(connection: Connection, module: str, name: str) -> type:
    """The class a record names, where it lives now; a `DB`'s class_factory."""
    return find_global(*ALIASES.get((module, name), (module, name)))


def check(db: DB, schema: int = SCHEMA) -> int | None:
    """The schema of an image, None for one that is not born yet; `NewerImage` if it is above `schema`."""
    with _connected(db) as connection:
        told = connection.root().get("batos")
        if told is None:
            return None
        newest = max(told["schema"], (told.get("migrating") or {}).get("to", 0))
        if newest > schema:
            raise NewerImage(
                f"this image is of schema {newest}, and this batos knows schemas up to {schema}: "
                f"a newer batos has written it; nothing was changed",
                hint="awaken it with that one, or bring an older backup back: python -m batos restore DIR",
            )
        return told["schema"]


def migrate(
    db: DB,
    table: tuple[Migration, ...] | None = None,
    schema: int = SCHEMA,
    batch: int = BATCH,
) -> list[dict[str, Any]]:
    """Bring the image of an open database to `schema`, or go on where that was interrupted.

    Nobody else may work on it meanwhile: of two processes on one storage the second meets a conflict, and
    awakens once the first is done.  Answers `{"to", "why", "objects"}` for each step taken, objects being
    those of this run.  Raises `NewerImage`.
    """
    number, steps = check(db, schema), {each.to: each for each in (MIGRATIONS if table is None else table)}
    done = []
    while number is not None and number < schema:
        step = steps[number + 1]
        log.warning("the image goes from schema %d to %d: %s", number, step.to, step.why)
        done.append({"to": step.to, "why": step.why, "objects": _take(db, step, batch)})
        number = step.to
    return done


def current_records(storage: Any, start: bytes = b"\0" * 8) -> Iterator[tuple[bytes, bytes]]:
    """(oid, data) of every object's newest record, from an oid on, in the order of the oids."""
    following: Any = start
    while following is not None:
        with warnings.catch_warnings():
            # To begin at an oid is the habit of all storages and the promise of none, as RelStorage warns.
            warnings.simplefilter("ignore")
            try:
                oid, _, data, following = storage.record_iternext(following)
            except ValueError:  # a FileStorage that has nothing from there on
                return
        yield oid, data


def _take(db: DB, step: Migration, batch: int) -> int:
    """One migration, from its cursor to its end; answers how many objects were changed."""
    with _connected(db) as connection:
        cursor = (connection.root()["batos"].get("migrating") or {}).get("cursor", b"\0" * 8)
    walk = current_records(db.storage, cursor) if step.each is not None else iter(())
    changed, last = 0, False
    while not last:
        with _connected(db) as connection:
            names, looked = connection.root(), 0
            for oid, data in islice(walk, batch):
                looked, cursor = looked + 1, p64(u64(oid) + 1)
                if not step.kinds or ".".join(get_pickle_metadata(data)) in step.kinds:
                    step.each(connection.get(oid))
                    changed += 1
            last = looked < batch
            told = {name: value for name, value in names["batos"].items() if name != "migrating"}
            if last:
                if step.root is not None:
                    step.root(names)
                names["batos"] = told | {"schema": step.to}
            else:
                names["batos"] = told | {"migrating": {"to": step.to, "cursor": cursor}}
            current = connection.transaction_manager.get()
            current.setUser("batos")
            current.note(f"schema {step.to}: {step.why}")
            connection.transaction_manager.commit()
        log.info("schema %d: %d objects changed", step.to, changed)
    return changed


@contextlib.contextmanager
def _connected(db: DB) -> Iterator[Connection]:
    """A connection with a transaction of its own; what was not committed is gone at the end."""
    manager = transaction.TransactionManager()
    connection = db.open(manager)
    try:
        yield connection
    finally:
        manager.abort()
        connection.close()


# -- schema 2: change records, and what was shipped --------------------------------------------------------

# What the editions of schema 1 shipped, by the digests of `genesis`: whoever still has it has edited nothing.
SHIPPED_1 = {
    "brick_prototype_obj": {
        "name": "4ecef72d8c9f2902", "title": "d382c16c5ec2190e", "question": "137081257c2ca1af",
        "codex": "d75ced25a8983c14", "facets": "ab31b870d85575e2", "expert": "4ecef72d8c9f2902",
    },
    "robin_prototype_obj": {
        "name": "ce2b1ab2ee300969", "title": "31f92f2fab62ff3a", "question": "315fc918a5f72aae",
        "codex": "5b725f503ea7ef59", "facets": "c844cefe11f7fce4", "expert": "ce2b1ab2ee300969",
    },
    "babs_prototype_obj": {
        "name": "0a2cc05562547d3b", "title": "4219831e93a7a1c3", "question": "e675136c84c7b6ef",
        "codex": "c71b9d63a878009b", "facets": "f5c64f58528f29a4", "expert": "74234e98afe7498f",
    },
    "alfred_prototype_obj": {
        "name": "978a8f67979170bc", "title": "0d5b98f81a3d1976", "question": "8cc8049ae9fcf50f",
        "codex": "44d24a0e4b690f05", "facets": "18836dcb6a18760f", "expert": "978a8f67979170bc",
    },
    "psm_prototypes_obj.IDLE": {
        "name": "4c1abf59a43fa69f", "persona": "07bf53ea92d7f4cc",
        "_process_synthesis_()": "99a0e454b253c93f",
    },
    "psm_prototypes_obj.DECOMPOSING": {
        "name": "c04e640d778bbf64", "persona": "5627a961cac22445", "meta_prompt": "a1d0b6f1f71f1d7d",
        "temperatures": "c482d2692505d186", "sure": "1b07b0cffa0b3f59",
        "_process_synthesis_()": "2e4a5a487ac91ef8",
    },
    "psm_prototypes_obj.DELEGATING": {
        "name": "c53a606306301ffb", "persona": "5627a961cac22445", "meta_prompt": "ca986dc3884ebf96",
        "temperatures": "f8a16dd6ee07eee5", "_process_synthesis_()": "692645633ad1fd66",
    },
    "psm_prototypes_obj.SYNTHESIZING": {
        "name": "9b9d8446232ae959", "persona": "07bf53ea92d7f4cc", "teller": "868103d88a82ef34",
        "meta_prompt": "bd1c3b67428a64cb", "rounds": "d4735e3a265e16ee",
        "_process_synthesis_()": "bc8f449d51348c27",
    },
    "psm_prototypes_obj.COMPLETE": {
        "name": "0ba9a455349c3f02", "persona": "07bf53ea92d7f4cc",
        "_process_synthesis_()": "766d2e0b391afbaa",
    },
    "psm_prototypes_obj.FAILED": {
        "name": "7e8a57fe6936f927", "persona": "07bf53ea92d7f4cc",
        "_process_synthesis_()": "deb53a93c89a82f3",
    },
}  # fmt: skip


def _records_and_shipped(names: Any) -> None:
    tree(names)
    for path, digests in SHIPPED_1.items():
        name, _, state = path.partition(".")
        obj = names.get(name)
        if obj is not None and state:
            obj = obj._slots.get(state)
        if obj is not None:  # a birth that was cut short has not come so far; genesis makes the rest
            obj._shipped = dict(digests)


# -- schema 3: smaller commits ------------------------------------------------


def _versions_apart(method: Persistent) -> None:
    method._p_changed = True  # it was read in the new shape


def _keys_in_small_leaves(names: Any) -> None:
    if "idempotency" in names:
        names["idempotency"] = ByKey(names["idempotency"])


MIGRATIONS: tuple[Migration, ...] = (
    Migration(2, "change records, and which texts are still as they were shipped", root=_records_and_shipped),
    Migration(
        3, "versions of methods are records of their own, idempotency keys stand in small leaves",
        kinds=frozenset({"batos.objects.method.Method"}), each=_versions_apart, root=_keys_in_small_leaves,
    ),
)  # fmt: skip
