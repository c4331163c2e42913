#!/usr/bin/env python3
"""Train the embedded mind: its tokenizer, its base and its experts, from nothing but `scripts.curriculum`.

    scripts/train_embedded_mind.py tokenizer
    scripts/train_embedded_mind.py base --minutes 50        # resumes by itself; ^C is harmless
    scripts/train_embedded_mind.py expert BRICK --minutes 12
    scripts/train_embedded_mind.py base --warm batos/mind/embedded --minutes 30   # begin with an edition
    scripts/train_embedded_mind.py export                   # bf16 into batos/mind/embedded, each file
    replaced at once

The schedule is warm-up, stable, decay: the base learns every task, its rate falls in the last part of its
time; each expert is a LoRA adapter that learns its own task at a falling rate.  Minutes are those of consumed
CPU time: a training that is stopped for a while (SIGSTOP) goes on where it was.  Lessons are made on the fly by
one process of their own, so a mended curriculum enters at the next resume.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import random
import re
import shutil
import signal
import sys
import time
from pathlib import Path
from queue import Empty

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # the maker of lessons needs a core now and then
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
EMBEDDED = ROOT / "batos" / "mind" / "embedded"
NAME = "batos-embedded-1"
VOCABULARY = 1024
SHAPE = {
    "hidden_size": 256,
    "intermediate_size": 704,
    "num_hidden_layers": 5,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
}
BASE_MIX = {"brick": 0.78, "alfred": 0.15, "robin": 0.07}  # audits are long and rarer: ALFRED makes up for it
EXPERT_MIX = {"BRICK": {"brick": 1.0}, "ALFRED": {"alfred": 1.0}, "ROBIN": {"robin": 1.0}}
TOKENS = 4096  # a batch, padding and prompts included
LONGEST = 384


def tokenizer_from(texts):
    """Byte-level BPE whose pieces keep to words, digits, runs of punctuation, and newlines with their
    indentation."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    from batos.mind.dialect import END, HANDLES, PAD, SPECIALS

    tokenizer = Tokenizer(models.BPE())
    split = Regex(r"[§¤¢£][0-9]?|\n *| ?[A-Z]?[a-z]+|[A-Z]|[0-9]|_| ?[^\sA-Za-z0-9_§¤¢£]+| +|\s")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(split, "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(word, special=True, normalized=False) for word in SPECIALS])
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        min_frequency=2,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=list(SPECIALS),
        show_progress=False,
    )
    # handles are ordinary pieces (an added token would not survive the byte-level decoder), so often that
    # each is one
    tokenizer.train_from_iterator([*texts, *["".join((*HANDLES, "¤"))] * len(texts)], trainer)
    assert all(len(tokenizer.encode(handle).ids) == 1 for handle in (*HANDLES, "¤"))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        model_max_length=1024,
        clean_up_tokenization_spaces=False,
    )


def encode(tokenizer, lesson):
    """(ids, learned) of a lesson; each part is encoded by itself, as prompts and answers are at work."""
    ids, learned = [], []
    for text, answer in lesson:
        part = tokenizer.encode(text, add_special_tokens=False)
        ids += part
        learned += [answer] * len(part)
    return ids, learned


def make_batches(folder, mix, seed, queue):
    """Endless batches of like length, each about TOKENS tokens. Runs as a process of its own."""
    from transformers import AutoTokenizer

    from scripts.curriculum import situations

    tokenizer = AutoTokenizer.from_pretrained(folder)._tokenizer
    rng = random.Random(seed)
    stream = situations.lessons(rng, mix)

    class Encoder:
        @staticmethod
        def encode(text, add_special_tokens):
            return tokenizer.encode(text, add_special_tokens=add_special_tokens).ids

    while True:
        pool = sorted(
            (pair for pair in (encode(Encoder, next(stream)) for _ in range(768)) if len(pair[0]) <= LONGEST),
            key=lambda pair: len(pair[0]),
        )
        batches, rows = [], []
        for ids, learned in pool:
            width = -(-len(ids) // 16) * 16  # few shapes: each costs a compiled kernel
            if rows and len(rows[0][0]) != width:
                rows = [
                    (ids0 + [0] * (width - len(ids0)), learned0 + [False] * (width - len(learned0)))
                    for ids0, learned0 in rows
                ]
            rows.append((ids + [0] * (width - len(ids)), learned + [False] * (width - len(learned))))
            if len(rows) >= TOKENS // width:
                batches.append(rows[: TOKENS // width])
                rows = rows[TOKENS // width :]
        rng.shuffle(batches)
        for rows in batches:
            queue.put(([ids for ids, _ in rows], [learned for _, learned in rows]))


def next_batch(queue, maker):
    """The next batch, or an error where nobody is left to make one."""
    while True:
        try:
            return queue.get(timeout=20)
        except Empty:
            if not maker.is_alive():
                raise RuntimeError("the maker of lessons has died; its last words stand above") from None


def answer_loss(model, ids, learned):
    """Mean cross-entropy of the answers' tokens; logits are made only where one is learned."""
    import torch

    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    hidden = inner.model(input_ids=ids, use_cache=False).last_hidden_state  # (B, T, H)
    where = learned[:, 1:].flatten().nonzero()[:, 0]
    targets = ids[:, 1:].flatten()[where]
    spare = -len(where) % 256  # few shapes here too
    where = torch.cat([where, where[:1].expand(spare)])
    targets = torch.cat([targets, torch.full((spare,), -100)])
    logits = inner.lm_head(hidden[:, :-1].flatten(0, 1)[where])  # (N, V)
    return torch.nn.functional.cross_entropy(logits.float(), targets)


def new_base(tokenizer):
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=VOCABULARY,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        rope_theta=10000.0,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
        initializer_range=0.02,
        **SHAPE,
    )
    model = LlamaForCausalLM(config)
    model.set_attn_implementation("eager")  # short texts: a quarter faster than the fused backward here
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                parameter.mul_(1 / math.sqrt(2 * SHAPE["num_hidden_layers"]))
    return model


class Optimizers:
    """Muon for the matrices, AdamW for the rest: half the steps of AdamW alone on this task."""

    def __init__(self, model, rate, muon):
        import torch

        matrices = [
            p
            for n, p in model.named_parameters()
            if p.requires_grad and p.ndim == 2 and "embed" not in n and muon
        ]
        chosen = {id(p) for p in matrices}
        rest = [p for p in model.parameters() if p.requires_grad and id(p) not in chosen]
        self.all = [
            torch.optim.AdamW(rest, lr=rate, betas=(0.9, 0.98), weight_decay=0.0 if not muon else 0.01)
        ]
        if matrices:
            self.all.append(
                torch.optim.Muon(
                    matrices,
                    lr=rate,
                    momentum=0.95,
                    weight_decay=0.05,
                    ns_steps=5,
                    adjust_lr_fn="match_rms_adamw",
                )
            )

    def step(self, rate):
        for optimizer in self.all:
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    def state_dict(self):
        return [optimizer.state_dict() for optimizer in self.all]

    def load_state_dict(self, states):
        for optimizer, state in zip(self.all, states, strict=True):
            optimizer.load_state_dict(state)


def train(model, folder, mix, seed, minutes, rate, checkpoint, decay, muon, log):
    """Train for `minutes` of CPU time in all, earlier runs counted; resumes from `checkpoint`, keeps it fresh.

    decay  the last part of the time in which the rate falls to nothing: 0.0 never, 1.0 from the beginning
    """
    import torch

    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    optimizers = Optimizers(model, rate, muon)
    step, before, runs = 0, 0.0, 0
    if checkpoint.exists():
        kept = torch.load(checkpoint, weights_only=True)
        with torch.no_grad():
            for name, parameter in trained.items():
                parameter.copy_(kept["model"][name])
        optimizers.load_state_dict(kept["optimizers"])
        step, before, runs = kept["step"], kept["seconds"], kept["runs"] + 1

    def stop(*_):
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    context = multiprocessing.get_context("spawn")
    queue = context.Queue(maxsize=24)
    maker = context.Process(
        target=make_batches, args=(str(folder), mix, f"{seed}-{runs}", queue), daemon=True
    )
    maker.start()

    def save():
        part = checkpoint.with_suffix(".part")
        torch.save(
            {
                "model": {name: p.detach().clone() for name, p in trained.items()},
                "step": step,
                "runs": runs,
                "optimizers": optimizers.state_dict(),
                "seconds": before + time.process_time() - start,
            },
            part,
        )
        os.replace(part, checkpoint)

    model.train()
    start, saved, told = time.process_time(), time.monotonic(), time.monotonic()
    losses, tokens, waited = [], 0, 0.0
    try:
        while True:
            elapsed = before + time.process_time() - start
            if elapsed >= minutes * 60:
                break
            asked = time.monotonic()
            rows, learned = next_batch(queue, maker)
            waited += time.monotonic() - asked
            ids, learned = torch.tensor(rows), torch.tensor(learned)
            with torch.autocast("cpu", torch.bfloat16):
                loss = answer_loss(model, ids, learned)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(list(trained.values()), 1.0)
            warm = min(1.0, (step + 1) / 100)
            left = min(1.0, (1 - elapsed / (minutes * 60)) / decay) if decay else 1.0
            optimizers.step(rate * warm * left)
            step += 1
            losses.append(loss.item())
            tokens += ids.numel()
            now = time.monotonic()
            if now - told > 30:
                log(
                    f"step {step} loss {sum(losses) / len(losses):.4f} tokens/s {tokens / (now - told):.0f} "
                    f"waited {waited / (now - told):.0%} minute {elapsed / 60:.1f}"
                )
                told, losses, tokens, waited = now, [], 0, 0.0
            if now - saved > 240:
                save()
                saved = now
    except KeyboardInterrupt:
        log(f"stopped after step {step}")
        raise SystemExit(130) from None  # there is more to do: the same command goes on from here
    finally:
        maker.terminate()
        save()
    return model


def load_base(work, tokenizer):
    """The base as it stands in the work folder, float32."""
    import torch

    model = new_base(tokenizer)
    kept = torch.load(work / "base.pt", weights_only=True)
    model.load_state_dict(kept["model"], strict=False)
    model.tie_weights()
    return model


def warmed(model, file: Path, prefix: str = ""):
    """The weights of an exported edition in place of the fresh ones; what it has not stays as it is."""
    import torch
    from safetensors.torch import load_file

    kept = load_file(file)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            known = name.replace(prefix, "") if prefix else name
            if known in kept:
                parameter.copy_(kept[known])
    return model


def with_adapter(model, name, rank=16):
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=rank,
        lora_alpha=2 * rank,
        target_modules="all-linear",
        lora_dropout=0.0,
        bias="none",
        task_type="CAUSAL_LM",
        base_model_name_or_path=NAME,
    )
    model.name_or_path = model.config._name_or_path = NAME
    return get_peft_model(model, config, adapter_name=name, autocast_adapter_dtype=False)


def replace_files(source: Path, target: Path):
    """Each file of source takes its place in target at once."""
    target.mkdir(parents=True, exist_ok=True)
    for path in source.iterdir():
        if path.is_file():
            part = target / (path.name + ".part")
            shutil.copyfile(path, part)
            os.replace(part, target / path.name)


def export(work: Path, target: Path):
    """Base and every trained expert in bf16, without a trace of the machine."""
    import torch
    from transformers import AutoTokenizer, GenerationConfig

    tokenizer = AutoTokenizer.from_pretrained(work / "tokenizer")
    model = load_base(work, tokenizer).to(torch.bfloat16)
    model.generation_config = GenerationConfig(
        pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id
    )
    made = work / "export"
    shutil.rmtree(made, ignore_errors=True)
    model.save_pretrained(made / "base")
    tokenizer.save_pretrained(made / "base")
    for file in ("config.json", "tokenizer_config.json"):
        data = json.loads((made / "base" / file).read_text())
        data = {
            key: value
            for key, value in data.items()
            if key not in ("_name_or_path", "name_or_path", "is_local", "local_files_only")
        }
        (made / "base" / file).write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n")
    replace_files(made / "base", target / "base")
    for name in EXPERT_MIX:
        if not (work / f"{name}.pt").exists():
            continue
        expert = with_adapter(load_base(work, tokenizer), name)
        kept = torch.load(work / f"{name}.pt", weights_only=True)["model"]
        with torch.no_grad():
            for parameter_name, parameter in expert.named_parameters():
                if parameter_name in kept:
                    parameter.copy_(kept[parameter_name])
        expert = expert.to(torch.bfloat16)
        expert.save_pretrained(made / "experts")
        folder = made / "experts" / name
        (folder / "README.md").unlink(missing_ok=True)
        data = json.loads((folder / "adapter_config.json").read_text())
        data["base_model_name_or_path"] = NAME
        if isinstance(data.get("target_modules"), list):
            data["target_modules"].sort()
        (folder / "adapter_config.json").write_text(json.dumps(data, indent=2) + "\n")
        replace_files(folder, target / "experts" / name)
    return made


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stage", choices=("tokenizer", "base", "expert", "export"))
    parser.add_argument("name", nargs="?", choices=sorted(EXPERT_MIX))
    parser.add_argument(
        "--work",
        type=Path,
        default=ROOT / "build" / "embedded_mind",
        help="checkpoints (default: %(default)s)",
    )
    parser.add_argument("--into", type=Path, default=EMBEDDED, help="where export puts the mind")
    parser.add_argument("--minutes", type=float, default=50)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--warm", type=Path, help="begin with the weights of this exported edition")
    parser.add_argument("--decay", type=float, help="last part of the time in which the rate falls")
    arguments = parser.parse_args(argv)
    work = arguments.work
    work.mkdir(parents=True, exist_ok=True)

    def log(line):
        print(time.strftime("%H:%M:%S"), arguments.stage, arguments.name or "", line, flush=True)

    if arguments.stage == "tokenizer":
        from scripts.curriculum import situations

        rng = random.Random(arguments.seed)
        stream = situations.lessons(rng, BASE_MIX)
        texts = ["".join(text for text, _ in next(stream)) for _ in range(12000)]
        # names of slots are noise to be pointed at, not words to be learned: most of their lines are left out
        tokenizer = tokenizer_from(
            [text if i % 5 == 0 else re.sub("(?m)^§.*\n", "", text) for i, text in enumerate(texts)]
        )
        tokenizer.save_pretrained(work / "tokenizer")
        size = sum(len(tokenizer.encode(text, add_special_tokens=False)) for text in texts[:1000]) / 1000
        log(f"{len(tokenizer)} tokens, {size:.1f} in a lesson")
        return
    if arguments.stage == "export":
        log(f"made in {export(work, arguments.into)}")
        return

    import torch
    from transformers import AutoTokenizer

    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    if arguments.warm and not (work / "tokenizer").exists():
        AutoTokenizer.from_pretrained(arguments.warm / "base").save_pretrained(work / "tokenizer")
    tokenizer = AutoTokenizer.from_pretrained(work / "tokenizer")
    if arguments.stage == "base":
        model = new_base(tokenizer)
        if arguments.warm:
            warmed(model, arguments.warm / "base" / "model.safetensors")
        log(f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters")
        train(
            model,
            work / "tokenizer",
            BASE_MIX,
            arguments.seed,
            arguments.minutes,
            arguments.rate or 2e-3,
            work / "base.pt",
            decay=0.4 if arguments.decay is None else arguments.decay,
            muon=True,
            log=log,
        )
    else:
        model = with_adapter(load_base(work, tokenizer), arguments.name)
        if arguments.warm:
            folder = arguments.warm / "experts" / arguments.name
            warmed(model, folder / "adapter_model.safetensors", f".{arguments.name}")
        train(
            model,
            work / "tokenizer",
            EXPERT_MIX[arguments.name],
            f"{arguments.seed}-{arguments.name}",
            arguments.minutes,
            arguments.rate or 2e-3,
            work / f"{arguments.name}.pt",
            decay=1.0 if arguments.decay is None else arguments.decay,
            muon=False,
            log=log,
        )


if __name__ == "__main__":
    main()
