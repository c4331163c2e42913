"""Tiny random models of four families, their tokenizer and peft-made adapters, for the tests of the mind.

Random weights answer nonsense, but they answer it exactly: equality is what these tests are about.
"""

from __future__ import annotations

from pathlib import Path

HIDDEN, LAYERS, WINDOW = 32, 2, 256
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


# Layers that an adapter is put on, in the words of each architecture.
FAMILIES = {
    "Llama": TARGETS,
    "Qwen2": ["q_proj", "v_proj", "down_proj"],
    "Qwen3": ["q_proj", "o_proj", "up_proj"],
    "GPTNeoX": ["query_key_value", "dense_4h_to_h"],
}


def make_base(folder: Path, seed: int = 0, hidden: int = HIDDEN, family: str = "Llama", **options) -> Path:
    """A model of 2 layers with a byte-level tokenizer of 300 words, saved as safetensors."""
    import torch
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.BPE())
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.decoder = decoders.ByteLevel()
    words.train_from_iterator(
        ["def deposit(self, amount): return self.balance + amount\n"] * 3,
        trainers.BpeTrainer(
            vocab_size=300,
            special_tokens=["<|end|>", "<|ask|>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<|end|>")
    torch.manual_seed(seed)
    wanted = {
        "hidden_size": hidden,
        "intermediate_size": 2 * hidden,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 304,
        "max_position_embeddings": WINDOW,
        "eos_token_id": tokenizer.eos_token_id,
        "tie_word_embeddings": True,
        "initializer_range": 0.3,  # wide, so that no two logits lie close together
    }
    if family == "GPTNeoX":
        del wanted["num_key_value_heads"]
    if family == "Qwen3":
        wanted["head_dim"] = hidden // 4
    config = getattr(transformers, f"{family}Config")(**{**wanted, **options})
    getattr(transformers, f"{family}ForCausalLM")(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_adapter(folder: Path, base: Path, seed: int, rank: int = 4, alpha: int = 8, **options) -> Path:
    """A LoRA over `base` with weights that are not zero, as peft saves it (float32)."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    wanted = {"r": rank, "lora_alpha": alpha, "target_modules": TARGETS, "task_type": "CAUSAL_LM"}
    config = LoraConfig(**{**wanted, **options})
    model = get_peft_model(model, config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_" in name:
                # Numbers that bf16 holds exactly: an image keeps adapters as bf16.
                weight.copy_((torch.randn_like(weight) * 0.2).bfloat16().float())
    model.save_pretrained(folder)
    return folder


def peft_logits(base: Path, adapter: Path, tokens):
    """What peft itself answers with that adapter, in float32."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    with torch.inference_mode():
        return PeftModel.from_pretrained(model, adapter).eval()(input_ids=tokens).logits
