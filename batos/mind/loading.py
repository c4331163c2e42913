"""Loading: a folder of model files becomes a model in memory, and says beforehand what that costs.

Three roads.  Direct: transformers maps the files, which on a CPU copies nothing where the width is the
file's own.  4-bit: the same, for files that were quantised when they were incarnated.  Dispatched: an empty
model and accelerate's `load_checkpoint_and_dispatch`, for a base in 16 bits that is larger than the card;
blocks that the model itself says must stay whole are not split.  None of them asks a hub.

`survey` reads headers alone, so that a person sees size, licence, room and budget before the first byte;
`examine` really builds the model, so that what will not load is refused before it is in the image.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from batos import errors
from batos.mind.adapters import ColdExpert, adapter_scale, read_header
from batos.mind.incarnation import licence_of, model_files
from batos.mind.inprocess import TransformersEngine
from batos.mind.ledger import Ledger, embedding_bytes, kv_bytes_per_token, weight_bytes
from batos.mind.memory_manager import MemoryManager
from batos.mind.profiles import Profile

SMALL = 50_000_000  # parameters up to which more threads cost more than they bring
NF4_BYTES = 4.127 / 8  # a number in NF4 with double quantisation
CONTEXT = 2048  # tokens of context a mind must have room for, or it is no use
CUDA_OVERHEAD = 0.6e9  # the context and the libraries' own workspaces, before they are measured
OUTER = ("embed", "lm_head", "wte", "wpe", "norm", "ln_")  # what quantising leaves in 16 bits, by its names


def survey(folder: str | Path, profile: Profile) -> dict[str, Any]:
    """What the model in `folder` is and what it will take, from its headers: `{"name", "origin", "licence",
    "architecture", "parameters", "files", "bytes", "memory", "budget", "device", "profile", "quantise"}`.

    Raises what `model_files` raises, and `TooLarge` where no road of this profile can hold it.
    """
    folder = Path(folder)
    files = model_files(folder)
    try:
        config = json.loads((folder / "config.json").read_text())
        architecture = (config.get("architectures") or ["?"])[0]
    except (ValueError, AttributeError, TypeError, LookupError) as exc:
        raise errors.Refused(f"{folder / 'config.json'} is damaged: {exc!r}") from exc
    quantise = profile.quantise if "quantization_config" not in config else ""
    parameters, memory = 0, 0.0
    for file in files:
        if file.suffix != ".safetensors":
            continue
        for name, entry in read_header(file)[0].items():
            begin, end = entry["data_offsets"]
            numbers = 1
            for side in entry["shape"]:
                numbers *= side
            parameters += numbers
            inner = len(entry["shape"]) == 2 and not any(word in name for word in OUTER)
            memory += numbers * NF4_BYTES if quantise and inner else end - begin
    told = {
        "name": folder.resolve().name,
        "origin": str(folder.resolve()),
        "licence": licence_of(folder) or "not told",
        "architecture": architecture,
        "parameters": parameters,
        "files": len(files),
        "bytes": sum(file.stat().st_size for file in files),
        "quantise": quantise,
    }
    return told | fitted(int(memory), profile)


def fitted(memory: int, profile: Profile) -> dict[str, Any]:
    """The budget for weights of `memory` bytes; `TooLarge` where neither the card nor RAM can hold them."""
    budget, device = profile.budget
    room = budget - CUDA_OVERHEAD if device == "VRAM" else budget
    offloaded = device == "VRAM" and memory > room
    if memory > (profile.ram_bytes if offloaded else room):
        raise errors.TooLarge(
            f"its weights take {memory / 1e9:.2f} GB, and profile {profile.name} has "
            f"{max(budget, profile.ram_bytes) / 1e9:.2f} GB {device}; nothing was changed",
            hint=f"a model that fits: python -m batos incarnate {profile.mind}, or raise "
            f"{'vram_bytes' if device == 'VRAM' else 'ram_bytes'} in batos.toml",
        )
    return {
        "memory": memory,
        "budget": int(budget),
        "device": "VRAM and RAM" if offloaded else device,
        "profile": profile.name,
    }


def examine(folder: str | Path) -> dict[str, Any]:
    """Build the model in `folder`, mapped and on the CPU: `{"class", "shapes", "window"}`.

    shapes are those of the layers an expert may adapt, by their paths.  Raises `Refused` with the reason
    where transformers does not know the architecture, a weight is missing or of another shape, or the
    tokenizer is none of the fast ones that grammars need.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    level = logging.get_verbosity()
    logging.set_verbosity_error()  # what is wrong is told as an error of ours, not as a table in the log
    try:
        model, found = AutoModelForCausalLM.from_pretrained(
            folder, dtype="auto", local_files_only=True, use_safetensors=True, output_loading_info=True
        )
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as exc:  # whatever a strange folder makes transformers raise is the reason
        raise errors.Refused(
            f"transformers cannot load the model in {folder}: {_first_line(exc)}; nothing was changed",
            hint="it has to be a causal language model that transformers knows without code of its own",
        ) from exc
    finally:
        logging.set_verbosity(level)
    wrong = sorted(map(str, found.get("mismatched_keys", ()))) or sorted(found["missing_keys"])
    if wrong:
        raise errors.Refused(
            f"the model in {folder} is incomplete or of another shape: {wrong[0]}"
            f"{f' and {len(wrong) - 1} more' if len(wrong) > 1 else ''}; nothing was changed",
            hint="fetch the whole model again",
        )
    if not getattr(tokenizer, "is_fast", False):
        raise errors.Refused(
            f"the tokenizer in {folder} has no fast form (tokenizer.json), which grammars need",
            hint="save it once with transformers: AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)",
        )
    head = model.get_output_embeddings()
    shapes = {
        path: [module.out_features, module.in_features]
        for path, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and module is not head
    }
    window = getattr(model.config, "max_position_embeddings", None)
    return {"shapes": shapes, "window": window, "class": type(model).__name__}


def _first_line(exc: Exception) -> str:
    lines = [line.strip() for line in str(exc).splitlines() if line.strip()]
    return f"{type(exc).__name__}: {lines[0][:300]}" if lines else type(exc).__name__


def quantised(folder: str | Path, out: Path) -> Path:
    """Write the model in `folder` to `out` as NF4 with double quantisation and bf16 compute.

    Saved before any forward, because afterwards a CPU's own packing would change it (FACTS).
    """
    import torch
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig
    from transformers.utils import logging

    logging.disable_progress_bar()
    four_bits = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    model = AutoModelForCausalLM.from_pretrained(
        folder,
        quantization_config=four_bits,
        dtype=torch.bfloat16,
        device_map={"": 0 if torch.cuda.is_available() else "cpu"},
        local_files_only=True,
        use_safetensors=True,
    )
    out.mkdir(parents=True)
    model.save_pretrained(out)
    del model
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    for file in model_files(folder):
        kept = file.suffix == ".safetensors" or file.name.endswith(".index.json")
        if not kept and not (out / file.name).exists():
            shutil.copyfile(file, out / file.name)
    return out


def cap_device(ledger: Ledger) -> None:
    """Cap torch's allocator at the ledger's budget, and count what CUDA's context takes of it.

    The context is what the device lacks before anything of ours is on it; other programs' memory counts too,
    because the card cannot give it to us either.
    """
    import torch

    torch.zeros(1, device="cuda")  # so that the context is there
    free, total = torch.cuda.mem_get_info()
    context = total - free - torch.cuda.memory_reserved()
    ledger.admit("context", context)
    torch.cuda.set_per_process_memory_fraction(max(0.0, min(1.0, (ledger.budget - context) / total)))


def load_model(
    folder: str | Path,
    *,
    dtype: str | None = None,
    device: str = "cpu",
    threads: int | None = None,
    ledger: Ledger | None = None,
    spread: dict[Any, Any] | None = None,
    spill: str | Path | None = None,
) -> tuple[Any, Any]:
    """(model, tokenizer) from a folder of safetensors, config and tokenizer files, never from a hub.

    dtype    None: float32 for a small model on a CPU, where a token of a batch of 5 takes 3.8 ms
             against 4.3 in bfloat16 (5 M parameters); else the file's own, which is mapped, not copied
    threads  of torch, for the whole process; None: for a small model half the cores and at most 4,
             so that turns and sockets keep theirs, else torch's own choice
    ledger   asked for the weights' bytes before they are read; `TooLarge` if they do not fit
    spread   the dispatched road: most bytes by place, `{0: 6e9, "cpu": 20e9}`; what fits nowhere is read
             from `spill`, a folder, at each use
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()  # a loading bar belongs to no terminal of ours
    folder = Path(folder)
    packed = "quantization_config" in json.loads((folder / "config.json").read_text())
    small = device == "cpu" and not packed and weight_bytes(folder, 1) < SMALL
    if dtype is None and small:
        dtype = "float32"
    if ledger and not spread:
        width = getattr(torch, dtype).itemsize if dtype else None
        outer = embedding_bytes(folder, width)
        ledger.admit("weights", weight_bytes(folder, width) - outer)
        ledger.admit("embeddings", outer)
    if threads is None and small:
        threads = max(1, min(4, len(os.sched_getaffinity(0)) // 2))
    if threads:
        torch.set_num_threads(threads)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    wanted = getattr(torch, dtype) if dtype else "auto"
    if spread:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        model = _dispatched(folder, config, wanted, spread, spill)
    else:
        model = AutoModelForCausalLM.from_pretrained(
            folder, dtype=wanted, local_files_only=True, use_safetensors=True,
            **({"device_map": {"": device}} if packed else {}),  # 4-bit weights are not moved afterwards
        )  # fmt: skip
        model = model if packed else model.to(device)
    if ledger and spread:
        on_card = [each.nbytes for each in model.parameters() if each.device.type == "cuda"]
        ledger.admit("weights", sum(on_card))
    return model.eval().requires_grad_(False), tokenizer


def _dispatched(
    folder: Path, config: Any, dtype: Any, spread: dict[Any, Any], spill: str | Path | None
) -> Any:
    import torch
    from accelerate import infer_auto_device_map, init_empty_weights, load_checkpoint_and_dispatch
    from transformers import AutoModelForCausalLM

    if dtype == "auto":
        dtype = getattr(config, "dtype", None) or torch.float32
    with init_empty_weights():
        model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    model.tie_weights()
    whole = list(model._no_split_modules or [])  # the blocks that hold a residual stream together
    places = infer_auto_device_map(model, max_memory=spread, no_split_module_classes=whole, dtype=dtype)
    return load_checkpoint_and_dispatch(
        model, str(folder), device_map=places, no_split_module_classes=whole, dtype=dtype,
        offload_folder=str(spill) if spill else None,
    )  # fmt: skip


def plan_spread(folder: str | Path, profile: Profile, context: int = CONTEXT) -> dict[Any, Any] | None:
    """Where the dispatched road may put how much, for a base in 16 bits that the card cannot hold; None
    where the direct road will do."""
    from types import SimpleNamespace

    budget, device = profile.budget
    config = json.loads((Path(folder) / "config.json").read_text())
    if device != "VRAM" or "quantization_config" in config:
        return None
    room = budget - CUDA_OVERHEAD - kv_bytes_per_token(SimpleNamespace(**config), 2) * context
    if weight_bytes(Path(folder)) <= room:
        return None
    return {0: int(room), "cpu": int(profile.ram_bytes)}


def open_engine(
    base: str | Path,
    experts: str | Path | None = None,
    *,
    dtype: str | None = None,
    device: str = "cpu",
    threads: int | None = None,
    **memory: Any,
) -> TransformersEngine:
    """An engine straight from folders, for whoever trains and evaluates minds.

    experts is a folder of adapter folders; their names, upper-cased, are the names of the experts.
    """
    found = {}
    for config in sorted(Path(experts).glob("*/adapter_config.json")) if experts else ():
        expert = folder_expert(config.parent)
        found[expert.name] = expert
    model, tokenizer = load_model(base, dtype=dtype, device=device, threads=threads)
    rank = max((expert.rank for expert in found.values()), default=1)
    manager = MemoryManager(model, found.get, **{"rank": rank, **memory})
    return TransformersEngine(model, tokenizer, manager)


def folder_expert(folder: Path) -> ColdExpert:
    """The expert that lies in an adapter's folder."""
    config = json.loads((folder / "adapter_config.json").read_text())
    file = folder / "adapter_model.safetensors"
    return ColdExpert(folder.name.upper(), file, config["r"], adapter_scale(config), file.stat().st_size)
