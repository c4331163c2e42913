"""One bit flipped at a time, anywhere in the files of an image that has lived: the scrub finds it.

The image is one that was killed several times under load, with blobs taken in and packs.  Flips are drawn
half by kind of file, half by byte, so that small files are met too; each is found by the scrub of the
sleeping folder, and a few more by `python -m batos doctor --scrub` as a user types it.
"""

from __future__ import annotations

import random
import shutil
import tempfile
from collections import Counter
from pathlib import Path

from batos.image.digests import scrub
from scripts.faults import kills
from scripts.faults.telling import Clock, Violation, demand, progress, table
from scripts.living import run_batos

LIVES = 6
# What the image does not consist of: a lock, where it was awake, when it was backed up, what was cut off, the journal.
APART = (".lock", "awake.json", "backup.json", ".jsonl", ".tmp", ".log")


def files_of(image: Path) -> list[Path]:
    """The files whose every bit counts."""
    found = [each for each in sorted(image.rglob("*")) if each.is_file() and each.stat().st_size]
    return [each for each in found if not each.name.endswith(APART) and ".fs.tr" not in each.name]


def flip(path: Path, at: int, bit: int) -> None:
    mode = path.stat().st_mode
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1 << bit]))
    path.chmod(mode)


def run(times: int, seed: int, processes: int) -> None:
    """Flip `times` bits, and `processes` more that the command line has to find; raises `Violation`."""
    with tempfile.TemporaryDirectory(prefix="torture-") as told:
        folder = Path(told)
        clock = Clock()
        image = kills.lived(folder, LIVES, seed)
        progress(f"an image that was killed {LIVES} times, {clock():.0f} s")
        flip_many(image, folder / "copy", times, seed, processes)


def flip_many(image: Path, copy: Path, times: int, seed: int, processes: int) -> None:
    """The flips themselves, in the files of an image that sleeps; `copy` is a place for copies of it."""
    clock = Clock()
    rng = random.Random(seed)
    missed: list[str] = []
    met: Counter[str] = Counter()
    findings = list(scrub(image))
    demand(not findings, f"nothing was flipped yet, and the scrub says: {findings[:3]}")
    files = files_of(image)
    sizes = [each.stat().st_size for each in files]

    kinds: dict[str, list[Path]] = {}
    for each in files:
        kinds.setdefault("blobs" if each.suffix == ".blob" else each.name, []).append(each)

    def draw() -> tuple[Path, int, int]:
        alike = kinds[rng.choice(sorted(kinds))] if rng.random() < 0.5 else files
        path = rng.choices(alike, [each.stat().st_size for each in alike])[0]
        return path, rng.randrange(path.stat().st_size), rng.randrange(8)

    for _ in range(times):
        path, at, bit = draw()
        met["in blobs" if path.suffix == ".blob" else f"in {path.name}"] += 1
        flip(path, at, bit)
        if not list(scrub(image)):
            missed.append(f"{path.relative_to(image)}, byte {at}, bit {bit}")
            progress(f"missed: {missed[-1]}")
        flip(path, at, bit)
    for _ in range(processes):
        path, at, bit = draw()
        met["by `doctor --scrub`"] += 1
        shutil.copytree(image, copy)
        flip(copy / path.relative_to(image), at, bit)
        done = run_batos("--image", copy, "doctor", "--scrub")
        warned = any(line.lstrip().startswith(("warn", "fail")) for line in done.stdout.splitlines())
        if not done.returncode and not warned:
            missed.append(f"by `doctor --scrub`: {path.relative_to(image)}, byte {at}, bit {bit}")
            progress(f"missed {missed[-1]}: {done.stdout}")
        shutil.rmtree(copy)
    table(
        [
            ("files; bytes", f"{len(files)}; {sum(sizes):,}"),
            ("bits flipped", met),
            ("found", f"{met.total() - len(missed)} of {met.total()}"),
            ("seconds", clock()),
        ]
    )
    if missed:
        raise Violation(f"{len(missed)} flipped bits were not found, one of them: {missed[0]}")
