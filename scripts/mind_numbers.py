"""What the Composite Mind costs: swaps, decoding, prefixes and memory, over a random Llama of a true shape.

`scripts/bench mind` runs it on a CPU with a model of 190 M parameters, `scripts/bench_gpu` on a CUDA device with one
of the shape of Llama-3.1-8B in four bits under a cap of 8.0e9 bytes.  The weights are made here: random numbers
cost what trained ones cost.  Peers are peft and transformers doing the same work in the same run.

Each number is a `Row`; nothing here raises because a goal is missed.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import itertools
import json
import os
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batos import errors
from batos.config import Settings
from batos.image import LivingImage
from batos.mind import Limits, experts, incarnation, loading
from batos.mind.inprocess import TransformersEngine
from batos.mind.ledger import Ledger
from batos.mind.memory_manager import MemoryManager
from batos.objects.genesis import genesis
from scripts.living import Awake, free_tcp_endpoint

SHAPES: dict[str, dict[str, Any]] = {
    "tiny": {
        "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "vocab_size": 320, "max_position_embeddings": 512, "tie_word_embeddings": True,
    },
    "190m": {
        "hidden_size": 1024, "intermediate_size": 2816, "num_hidden_layers": 14, "num_attention_heads": 16,
        "num_key_value_heads": 4, "vocab_size": 32_000, "max_position_embeddings": 2048, "tie_word_embeddings": True,
    },
    "8b": {
        "hidden_size": 4096, "intermediate_size": 14_336, "num_hidden_layers": 32, "num_attention_heads": 32,
        "num_key_value_heads": 8, "vocab_size": 128_256, "max_position_embeddings": 8192,
        "tie_word_embeddings": False,
    },
}  # fmt: skip
SEED = 20_261
CAP = 8.0e9  # bytes of the card, the CUDA context included


@dataclass(frozen=True, slots=True)
class Row:
    what: str
    measured: str
    goal: str = ""
    peer: str = ""
    ratio: float | None = None


@dataclass(slots=True)
class Bench:
    """A made-up mind of one shape, in an image of its own, and what is measured of it.

    device   "cpu" or "cuda"; four_bits: NF4; cap: the budget in bytes
    adapters how many random experts of rank 16 lie in the repository
    swaps    of the endurance run; tokens: of a generation; prefix: of a persona's prompt
    """

    folder: Path
    shape: str
    device: str = "cpu"
    four_bits: bool = False
    cap: float = 32e9
    slots: int = 4
    adapters: int = 64
    swaps: int = 10_000
    tokens: int = 24
    prefix: int = 1_000
    rank: int = 16
    warm_to_hot: float = 0.0
    image: Any = None
    engine: Any = None
    ledger: Any = None

    # making it

    def make(self) -> None:
        """Files, image, engine."""
        base = make_model(self.folder / "base", self.shape, self.device)
        if self.four_bits:
            base = loading.quantised(base, self.folder / "nf4")
        shapes = linear_shapes(SHAPES[self.shape])
        self.image = LivingImage.open(
            self.folder / "image", Settings(), birth=lambda root: genesis(root, (incarnation.birth,))
        )
        incarnation.ingest_model(self.image, base, "bench", "random", shapes=shapes)
        for number in range(self.adapters):
            make_adapter(self.folder / "adapters" / f"P{number}", shapes, self.rank, number)
        staged = experts.stage_experts(self.image, [self.folder / "adapters"])
        refused = [each for each in staged if each.outcome != "ingested"]
        if refused:
            raise SystemExit(f"bench: {refused[0].reason}")
        self.engine, self.ledger = self.awaken()

    def awaken(self) -> tuple[TransformersEngine, Ledger]:
        """The mind out of the image's blobs."""
        ledger = Ledger(self.cap, "VRAM" if self.device == "cuda" else "RAM")
        if self.device == "cuda":
            loading.cap_device(ledger)
        with incarnation.load_folder(self.image) as folder:
            model, tokenizer = loading.load_model(folder, device=self.device, ledger=ledger)
        found = {
            f"P{number}": experts.find_expert(self.image, f"P{number}") for number in range(self.adapters)
        }
        memory = MemoryManager(
            model, found.get, slots=self.slots, rank=self.rank, warm_bytes=20e9, ledger=ledger
        )
        return TransformersEngine(model, tokenizer, memory), ledger

    def close(self) -> None:
        self.engine = None
        if self.image is not None:
            self.image.close()
            self.image = None

    # measuring

    def switching(self) -> Iterator[Row]:
        """Among hot experts, and from the warm tier into a slot."""
        memory = self.engine.memory
        hot = [f"P{number}" for number in range(min(self.slots, self.adapters))]
        took = self._switches(hot)
        yield Row("switch among hot experts", spread(took), "0.3 ms")
        rest = [f"P{number}" for number in range(self.adapters)]
        for name in rest:
            memory.activate(name)  # all of them warm
        again = self._switches(rest[-self.slots :])
        yield Row(
            f"the same with {self.adapters} in the repository", spread(again), "flat", spread(took),
            statistics.median(again) / statistics.median(took),
        )  # fmt: skip
        warm = rest[: self.slots + 4]
        for name in warm * 2:
            memory.activate(name)
        assert memory.counters["hit_warm"]
        took = timed(lambda name: memory.activate(name), warm * 12)
        self._settle()
        size = f"{memory.layout.numbers * 2 / 1e6:.1f} MB"
        yield Row(f"warm to hot, {size}", spread(took), "5 ms p99" if self.device == "cuda" else "")
        self.warm_to_hot = statistics.median(took)
        cold = []
        for name in rest[: min(16, self.adapters)]:
            memory.forget(name)
            cold += timed(lambda name: memory.activate(name), [name])
        yield Row(f"cold to usable, {size}", spread(cold), "25 ms p50" if self.device == "cuda" else "")

    def _switches(self, names: list[str]) -> list[float]:
        for name in names:
            self.engine.memory.activate(name)
        return timed(lambda name: self.engine.memory.activate(name), names * 250)

    def _settle(self) -> None:
        if self.device == "cuda":
            import torch

            torch.cuda.synchronize()

    def against_peft(self) -> Iterator[Row]:
        """peft's load, set and delete of the same adapters over a base of its own."""
        from peft import PeftModel

        with incarnation.load_folder(self.image) as folder:
            model, _ = loading.load_model(folder, device=self.device)
        adapters = self.folder / "adapters"
        model = PeftModel.from_pretrained(
            model, adapters / "P0", adapter_name="P0", autocast_adapter_dtype=False
        )

        def swap(name: str) -> None:
            model.load_adapter(adapters / name, adapter_name=name, autocast_adapter_dtype=False)
            model.set_adapter(name)
            model.delete_adapter(name)
            model.set_adapter("P0")

        took = timed(swap, [f"P{1 + number % (self.adapters - 1)}" for number in range(7)])[1:]
        mine = self.warm_to_hot
        yield Row(
            "warm to hot against peft load, set, delete", spoken(mine), "50 times quicker",
            spoken(statistics.median(took)), statistics.median(took) / mine,
        )  # fmt: skip

    def endurance(self) -> Iterator[Row]:
        """Thousands of swaps: nothing of the base moves, nothing grows, every expert is what it was."""
        memory = self.engine.memory
        names = [f"P{number}" for number in range(self.adapters)]
        before, chance = self._logits(None), random.Random(SEED)
        fresh = {name: self._logits(name) for name in names[:8]}
        for _ in range(min(500, self.swaps)):
            memory.activate(chance.choice(names))
        gc.collect()
        start, took = self._held(), time.perf_counter()
        for _ in range(self.swaps):
            memory.activate(chance.choice(names))
        self._settle()
        took = time.perf_counter() - took
        gc.collect()
        grown = self._held() - start
        same = self._logits(None) == before
        equal = sum(self._logits(name) == each for name, each in fresh.items())
        yield Row(
            f"{self.swaps:,} swaps, {spoken(took / self.swaps)} each",
            f"base logits {'bit-equal' if same else 'DIFFER'}, {equal} of {len(fresh)} experts bit-equal, "
            f"{'VRAM' if self.device == 'cuda' else 'RSS'} {grown / 1e6:+.2f} MB",
            "bit-equal, no growth",
        )

    def _held(self) -> int:
        if self.device == "cuda":
            import torch

            return torch.cuda.memory_allocated()
        import psutil

        return psutil.Process().memory_info().rss

    def _logits(self, *names: str | None, tokens: Any = None) -> str:
        """A digest of the logits of a fixed batch, row i thinking with names[i]."""
        return digest_of(self._batch(*names, tokens=tokens))

    def _batch(self, *names: str | None, tokens: Any = None) -> Any:
        import torch

        if tokens is None:
            tokens = torch.arange(3, 11)[None].repeat(len(names), 1)
        memory = self.engine.memory
        with torch.inference_mode(), memory.pinned(*names) as slots:
            with memory.routed([(row, row + 1, slot) for row, slot in enumerate(slots)]):
                return self.engine.model(input_ids=tokens.to(self.device)).logits.float().cpu()

    def decoding(self) -> Iterator[Row]:
        """With an expert against the bare base, and eight personas in one batch against taking turns."""
        prompt = "an account with a balance and an owner: " * 3
        bare, voiced = [], []
        for _ in range(7):  # by turns, so that a busy moment hits both
            bare.append(self._steps(prompt, None))
            voiced.append(self._steps(prompt, "P0"))
        mine, theirs = statistics.median(voiced), statistics.median(bare)
        yield Row("decode with an expert", f"{mine:.1f} tokens/s", "within 10 % of the base",
                  f"the bare base, {theirs:.1f} tokens/s", mine / theirs)  # fmt: skip
        personas = [f"P{number}" for number in range(min(8, self.slots))]
        prompts = [f"{prompt}{number}" for number in range(len(personas))]
        together = max(self._rate(prompts, personas) for _ in range(3))
        turns = max(self._turns(prompts, personas) for _ in range(2))
        yield Row(f"{len(personas)} personas in one batch", f"{together:.1f} tokens/s", "3 times",
                  f"taking turns, {turns:.1f} tokens/s", together / turns)  # fmt: skip

    def _steps(self, prompt: str, name: str | None) -> float:
        """Tokens a second behind the first, which waits for the prompt to be read."""

        def took(tokens: int) -> float:
            start = time.perf_counter()
            (draft,) = self.engine.generate([prompt], name, None, Limits(max_tokens=tokens, seed=1))
            assert len(draft.tokens) == tokens
            return time.perf_counter() - start

        return self.tokens / (took(self.tokens + 1) - took(1))

    def _rate(self, prompts: list[str], names: list[str | None]) -> float:
        start = time.perf_counter()
        drafts = self.engine.generate(prompts, names, None, Limits(max_tokens=self.tokens, seed=1))
        return sum(len(draft.tokens) for draft in drafts) / (time.perf_counter() - start)

    def _turns(self, prompts: list[str], names: list[str | None]) -> float:
        start, count = time.perf_counter(), 0
        for prompt, name in zip(prompts, names, strict=True):
            (draft,) = self.engine.generate([prompt], name, None, Limits(max_tokens=self.tokens, seed=1))
            count += len(draft.tokens)
        return count / (time.perf_counter() - start)

    def batches(self) -> Iterator[Row]:
        """Rows of a batch of eight personas: against the same batch of one, and against single runs."""
        import torch

        personas = [f"P{number}" for number in range(min(8, self.slots))]
        chance = torch.Generator().manual_seed(SEED)
        tokens = torch.randint(3, 300, (len(personas), 24), generator=chance)
        mixed = self._batch(*personas, tokens=tokens)
        equal, apart, base_apart = 0, 0.0, 0.0
        base = self._batch(*[None] * len(personas), tokens=tokens)
        for row, name in enumerate(personas):
            alike = self._batch(*[name] * len(personas), tokens=tokens)
            equal += bool(torch.equal(mixed[row], alike[row]))
            alone = self._batch(name, tokens=tokens[row : row + 1])[0]
            apart = max(apart, float((mixed[row] - alone).abs().max()))
            alone = self._batch(None, tokens=tokens[row : row + 1])[0]
            base_apart = max(base_apart, float((base[row] - alone).abs().max()))
        yield Row(f"rows of {len(personas)} personas, against the same batch of one",
                  f"{equal} of {len(personas)} bit-equal", "all")  # fmt: skip
        yield Row("rows of the batch against single runs", f"{apart:.2e} apart", "no further than the base",
                  f"the bare base, {base_apart:.2e}", apart / base_apart if base_apart else None)  # fmt: skip

    def prefixes(self) -> Iterator[Row]:
        """The first token behind a persona's prompt: read, and out of the image."""
        from batos.mind.prefixes import ImageShelf

        words = "an account with a balance and an owner, a shop with a till and some stock: "
        each = self.engine.count(words)
        prefix = words * (self.prefix // each)
        one = Limits(max_tokens=1)
        question = ["deposit five"]

        def first(kept: bool) -> tuple[float, Any]:
            if not kept:
                self.engine.prefixes.clear()
            start = time.perf_counter()
            drafts = self.engine.generate(question, "P0", None, one, prefix=prefix)
            self._settle()
            return time.perf_counter() - start, drafts

        cold = [first(False) for _ in range(4)][1:]
        shelf = ImageShelf(self.image, self.device)
        self.engine.prefixes._shelf = shelf
        self.engine.prefixes.clear()
        first(True)  # computed, and put on the shelf by a thread of its own
        deadline = time.monotonic() + 30
        while not self.image.run("kept?", lambda root: len(_prefixes(root))) and time.monotonic() < deadline:
            time.sleep(0.01)
        mapped = [first(False) for _ in range(4)]  # dropped from memory each time: out of the blob
        warm = [first(True) for _ in range(6)]
        self.engine.prefixes._shelf = None
        equal = len({str(drafts) for _, drafts in cold + mapped + warm}) == 1
        told = "equal output" if equal else "OUTPUT DIFFERS"
        reading = statistics.median(took for took, _ in cold)
        for what, runs in (("in memory", warm), ("out of the image", mapped)):
            took = statistics.median(took for took, _ in runs)
            yield Row(f"first token, a prefix of {each * (self.prefix // each)} tokens {what}",
                      f"{spoken(took)}, {told}", "5 times sooner", f"reading it, {spoken(reading)}",
                      reading / took)  # fmt: skip

    def awakening(self) -> Iterator[Row]:
        """Out of the blobs, against `from_pretrained` of the same files."""
        plain = self.folder / ("nf4" if self.four_bits else "base")

        def load(folder: Path) -> float:
            start = time.perf_counter()
            model, _ = loading.load_model(folder, device=self.device)
            self._settle()
            took = time.perf_counter() - start
            del model
            gc.collect()
            return took

        def out_of_the_image() -> float:
            start = time.perf_counter()
            with incarnation.load_folder(self.image) as folder:
                return time.perf_counter() - start + load(folder)

        from_files, from_blobs = [], []
        for _ in range(4):
            from_files.append(load(plain))
            from_blobs.append(out_of_the_image())
        mine, theirs = min(from_blobs), min(from_files)
        yield Row("awake from the blobs, each checked", spoken(mine), "1.2 times",
                  f"from_pretrained of the files, {spoken(theirs)}", mine / theirs)  # fmt: skip

    def chaos(self, seconds: float) -> Iterator[Row]:
        """Random personas, contexts to the limit and cancels: nothing over the cap, nothing crashes."""
        chance, began, done, refused, crashed = random.Random(SEED), time.monotonic(), 0, 0, 0
        apart = 0.0
        while time.monotonic() - began < seconds:
            rows = chance.randint(1, min(8, self.slots))
            names = [chance.choice([None, *(f"P{n}" for n in range(self.adapters))]) for _ in range(rows)]
            names = (names * rows)[:rows] if len(set(names) - {None}) <= self.slots else [None] * rows
            length = chance.choice([8, 64, self.engine.window // 2, self.engine.window])
            cancel = threading.Event()
            if chance.random() < 0.3:
                threading.Timer(chance.random(), cancel.set).start()
            try:
                limits = Limits(max_tokens=chance.choice([1, 8, self.tokens]), over="middle")
                self.engine.generate([_words(chance, length)] * rows, names, None, limits, cancel)
                done += 1
            except (errors.TooLarge, errors.Busy):
                refused += 1
            except Exception:
                crashed += 1
                raise
            apart = max(apart, self._ledger_apart())
        told = f"{done} generations, {refused} refused beforehand, {crashed} crashes"
        if self.device == "cuda":
            import torch

            peak = torch.cuda.max_memory_reserved() + self.ledger.table().get("context", 0)
            told += f", peak {peak / 1e9:.3f} GB, ledger within {apart:.1%} of the allocator"
        yield Row(f"chaos for {seconds:.0f} s", told, f"under {self.cap / 1e9:.1f} GB, 3 %, 0 crashes")

    def door(self, seconds: float) -> Iterator[Row]:
        """A process that awakens with this mind; the image is closed here before."""
        self.close()
        environ = {"BATOS_PROFILE": "8gb", "BATOS_VRAM_BYTES": str(self.cap)} if self.device == "cuda" else {}
        one = Awake(self.folder / "image", free_tcp_endpoint(), environ=environ)
        try:
            yield at_the_door(one.start(), seconds, f"the {self.shape} mind")
        finally:
            one.end()

    def _ledger_apart(self) -> float:
        """How far the ledger's standing entries are from what the allocator holds between generations."""
        if self.device != "cuda":
            return 0.0
        import torch

        table = self.ledger.table()
        standing = sum(table.get(name, 0) for name in ("weights", "embeddings", "slots", "prefixes", "graphs"))
        return abs(standing - torch.cuda.memory_allocated()) / torch.cuda.memory_allocated()


def at_the_door(one: Awake, seconds: float, which: str) -> Row:
    """How long `kernel ping` takes while the mind of an awake image thinks, one mission after the other."""
    heard, busy = [0], []
    with one.client() as client, one.client() as other:
        client.send("memory_manager_obj", "activate_expert_", "NOBODY", timeout=120)  # once the mind is loaded
        quiet = timed(lambda _: other.send("kernel", "ping"), [None] * 220)[20:]

        def hear(event: dict[str, Any]) -> None:
            heard[0] += event["event"] == "tokens"

        def think() -> None:
            for number in itertools.count():
                if time.monotonic() > ends:
                    return
                client.send("lobby", "clone", called=f"account_{number}", balance=100, owner="Ada")
                with contextlib.suppress(errors.BatosError):  # a random mind learns nothing, and thinks as long
                    client.send(f"account_{number}", "withdraw_balance", 30, tell=hear, timeout=60)

        thinking = threading.Thread(target=think)
        ends = time.monotonic() + seconds
        thinking.start()
        while thinking.is_alive() and time.monotonic() < ends:
            busy += timed(lambda _: other.send("kernel", "ping"), [None])
            time.sleep(0.002)
        thinking.join()
    return Row(f"`kernel ping` while {which} generates, {heard[0]} pieces of text", spread(busy), "p99 50 ms",
               f"while it rests, {spread(quiet)}", statistics.median(busy) / statistics.median(quiet))  # fmt: skip


def _prefixes(root: Any) -> Any:
    mind = root["pLLM_obj"]
    return mind.minds[mind.model_id]._slots.get("prefixes", {})


def _words(chance: random.Random, tokens: int) -> str:
    return "".join(chance.choice("abcdefghij ") for _ in range(tokens))


# -- making models -----------------------------------------------------------------------------------------


def make_model(folder: Path, shape: str, device: str) -> Path:
    """A random Llama of that shape in bf16, with a byte-level tokenizer of 300 words."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast

    words = Tokenizer(models.BPE())
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<|end|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )  # fmt: skip
    words.train_from_iterator(["an account with a balance and an owner\n"] * 3, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<|end|>")
    torch.manual_seed(SEED)
    # No end of sequence within reach: a random model would end its answers at random.
    config = LlamaConfig(**SHAPES[shape], eos_token_id=SHAPES[shape]["vocab_size"] - 1, dtype="bfloat16")
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device(device):
            model = AutoModelForCausalLM.from_config(config)
    finally:
        torch.set_default_dtype(before)
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    del model
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()
    return folder


def linear_shapes(shape: dict[str, Any]) -> dict[str, list[int]]:
    """Path -> [out, in] of the layers of a Llama that experts adapt."""
    hidden, wide = shape["hidden_size"], shape["intermediate_size"]
    narrow = hidden // shape["num_attention_heads"] * shape["num_key_value_heads"]
    sides = {
        "self_attn.q_proj": [hidden, hidden], "self_attn.k_proj": [narrow, hidden],
        "self_attn.v_proj": [narrow, hidden], "self_attn.o_proj": [hidden, hidden],
        "mlp.gate_proj": [wide, hidden], "mlp.up_proj": [wide, hidden], "mlp.down_proj": [hidden, wide],
    }  # fmt: skip
    return {
        f"model.layers.{layer}.{name}": side
        for layer in range(shape["num_hidden_layers"])
        for name, side in sides.items()
    }


def make_adapter(folder: Path, shapes: dict[str, list[int]], rank: int, seed: int) -> Path:
    """A random LoRA over all linear layers, as peft would have saved it in bf16."""
    import torch
    from safetensors.torch import save_file

    chance = torch.Generator().manual_seed(seed)
    tensors = {}
    for path, (out, into) in shapes.items():
        a = torch.randn(rank, into, generator=chance) * 0.02
        b = torch.randn(out, rank, generator=chance) * 0.02
        tensors[f"base_model.model.{path}.lora_A.weight"] = a.bfloat16()
        tensors[f"base_model.model.{path}.lora_B.weight"] = b.bfloat16()
    folder.mkdir(parents=True)
    save_file(tensors, folder / "adapter_model.safetensors", {"format": "pt"})
    config = {
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "r": rank, "lora_alpha": 2 * rank, "bias": "none",
        "target_modules": sorted({path.rpartition(".")[2] for path in shapes}), "lora_dropout": 0.0,
        "base_model_name_or_path": "bench", "inference_mode": True,
    }  # fmt: skip
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


# -- measuring -----------------------------------------------------------------------------------------------


def timed(run: Callable[[Any], Any], given: list[Any]) -> list[float]:
    took = []
    for each in given:
        start = time.perf_counter()
        run(each)
        took.append(time.perf_counter() - start)
    return took


def spread(took: list[float]) -> str:
    ordered = sorted(took)
    return f"p50 {spoken(statistics.median(ordered))}, p99 {spoken(ordered[int(0.99 * (len(ordered) - 1))])}"


def spoken(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{seconds * 1e3:.3g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f} us"


def digest_of(logits: Any) -> str:
    return hashlib.sha256(logits.numpy().tobytes()).hexdigest()


@contextlib.contextmanager
def made(**options: Any) -> Iterator[Bench]:
    """A bench in a folder of its own, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="batos-bench-") as folder:
        bench = Bench(Path(folder), **options)
        bench.make()
        try:
            yield bench
        finally:
            bench.close()


def rows(bench: Bench, chaos: float = 0.0, door: float = 10.0) -> Iterator[Row]:
    """Everything, in the order in which one part prepares the next."""
    yield from bench.switching()
    yield from bench.against_peft()
    yield from bench.endurance()
    yield from bench.decoding()
    yield from bench.batches()
    yield from bench.prefixes()
    yield from bench.awakening()
    if chaos:
        yield from bench.chaos(chaos)
    if door:
        yield from bench.door(door)


def quiet() -> None:
    """No hub, no bars."""
    os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
