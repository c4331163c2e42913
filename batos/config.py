"""The settings of batos: one dataclass, each field with the reason for its default.

Read once at the edge (`load`), in the order flag, `BATOS_*` environment variable, `DIR/batos.toml`,
default; everybody else is handed plain values.  What is not a setting of the whole process does not
belong here.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from batos.errors import BadRequest


@dataclass(frozen=True, slots=True)
class Settings:
    image: Path = Path("image")
    endpoint: str = "tcp://127.0.0.1:5555"  # loopback: a stranger on the network is never the owner
    key: str = ""  # the file of the key to speak with; empty: none, or the owner's own beside the image
    curve: bool = False  # True: ask for keys on the loopback interface too, as off it they always are
    timeout: float = 0.0  # seconds a command waits for its answer; 0: as long as its kind of message takes
    staging: Path = Path("lora_staging")  # adapters waiting to be ingested
    storage: str = ""  # where the image is kept, as a URI; empty: in files of its own folder

    max_frame_bytes: int = 16 * 2**20  # larger documents enter through `remember`, which reads files
    max_waiting: int = 10_000  # messages queued before senders are told `busy`
    client_queue: int = 1_000  # replies kept for a client that does not read
    group_size: int = 256  # messages that may share a commit; above it the fsync is noise

    turn_seconds: float = 10.0  # a method that runs longer is ended and its turn rolled back
    probation_calls: int = 20  # of a method batos wrote are watched; 0: none.  As many trials again as it had
    probation_error_rate: float = 0.1  # of them may fail: one is bad luck, two a coincidence, three a habit
    mission_seconds: float = 60.0  # a mission's own deadline, whoever still waits for it
    missions: bool = True  # False: a miss is told and never thought about
    review: bool = False  # True: a method batos wrote waits for a person's word before it is installed
    pause_on_battery: bool = False  # True: no thought while the laptop is unplugged
    mission_nice: int = 0  # 1 to 19: the threads that think give way to whatever else the machine does (Linux)
    missions_waiting: int = 256  # misses queued before senders are told `busy`

    profile: str = "auto"  # cpu, 6gb, 8gb or 24gb; auto: what a look at the machine says
    quantise: str = "auto"  # auto: as the profile says; none, or nf4: what incarnate makes of a base in 16 bits
    vram_bytes: float = 0.0  # a hard limit, the CUDA context included; these four at 0: as the profile says
    ram_bytes: float = 0.0
    warm_bytes: float = 0.0  # experts kept in RAM, least recently used out first
    hot_slots: int = 0  # experts resident at once
    mind_url: str = ""  # a server that speaks OpenAI's completions, as the mind instead of the image's own
    mind_model: str = ""  # the model to ask it for; empty: the first it lists
    mind_grammar: str = "auto"  # how it takes grammars: vllm, llama.cpp, none; auto: by what it says it is
    mind_window: int = 4096  # tokens it can look at: a server does not say
    mind_usd_read: float = 0.0  # US dollars a million tokens cost that it reads, and that it writes: for the
    mind_usd_written: float = 0.0  # ledger, which refuses before the limits of budget_obj are passed

    cache_objects: int = 50_000  # live objects kept in memory, about 1 KB each
    disk_reserve_bytes: float = 64e6  # free space below which nothing more is promised

    history_days: float = 7.0  # of the past that `at` can look at; a pack lets go what was replaced before
    pack_share: float = 0.5  # of the data file that a nightly pack must free to be worth copying the rest
    pack_bytes: float = 64e6  # a smaller file is not packed of its own accord: nobody misses that much
    changes_days: float = 90.0  # of change records: who changed what, and undo
    changes_kept: int = 200_000  # change records however young, about 1 KB each
    versions_kept: int = 1_000  # of a method; the installed one and the one shipped last stay beyond it
    missions_days: float = 90.0
    missions_kept: int = 1_000
    journal_days: float = 365.0
    journal_bytes: float = 64e6  # of the journal, the oldest lines go first
    backup_generations: int = 1  # kept in a backup's folder beside the newest, for what was packed away since

    heartbeat: bool = True
    heartbeat_delay: float = 300.0  # seconds after awakening, so that a restart loop audits nothing
    heartbeat_cron: str = "30 3 * * *"  # at night, when nobody waits
    audit_mission_ms: float = 5000.0  # p95 of mission durations over 24 h above which ALFRED speaks up
    audit_swap_ms: float = 1000.0  # mean swap of any expert
    audit_abort_rate: float = 0.05

    unwalled: bool = False  # True: run generated code where the kernel cannot wall it in; a risk
    portable_rehearsal: bool = False  # True: rehearse as macOS and Windows must, though this kernel has a wall
    log_level: str = "warning"


_KINDS = {"image": Path, "staging": Path}


def _convert(name: str, default: Any, value: Any, source: str) -> Any:
    kind = _KINDS.get(name, type(default))
    if kind is bool and isinstance(value, str):
        words = {
            "1": True,
            "true": True,
            "yes": True,
            "on": True,
            "0": False,
            "false": False,
            "no": False,
            "off": False,
        }
        if value.lower() in words:
            return words[value.lower()]
        raise BadRequest(f"{source}: {name} wants true or false, not {value!r}")
    try:
        return kind(value)
    except (TypeError, ValueError) as exc:
        raise BadRequest(f"{source}: {name} wants {kind.__name__}, not {value!r}") from exc


def load(flags: dict[str, Any] | None = None, environ: dict[str, str] | None = None) -> Settings:
    """Settings from flags over environment over `DIR/batos.toml` over defaults.

    Flags are those given (None counts as not given).  Raises `BadRequest` naming the source of a
    value that does not fit, and any unknown key of the file.
    """
    environ = os.environ if environ is None else environ
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    defaults = {field.name: field.default for field in fields(Settings)}
    chosen: dict[str, Any] = {}
    directory = Path(given.get("image") or environ.get("BATOS_IMAGE") or defaults["image"])
    file = directory / "batos.toml"
    if file.is_file():
        import tomllib  # here, because most images have no such file and every command pays for an import

        try:
            table = tomllib.loads(file.read_text())
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
            raise BadRequest(f"{file} cannot be read: {exc}") from exc
        for name, value in table.items():
            if name not in defaults or name == "image":
                raise BadRequest(f"{file}: there is no setting {name!r}")
            chosen[name] = _convert(name, defaults[name], value, str(file))
    for name in defaults:
        variable = f"BATOS_{name.upper()}"
        if variable in environ:
            chosen[name] = _convert(name, defaults[name], environ[variable], variable)
    for name, value in given.items():
        if name in defaults:
            chosen[name] = _convert(name, defaults[name], value, f"--{name}")
    return Settings(**chosen)
