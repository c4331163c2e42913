"""Profiles: what a look at the machine chooses, what a person overrides, and what is told where something lacks."""

from __future__ import annotations

import pytest

from batos import errors
from batos.config import Settings
from batos.mind import profiles
from batos.mind.profiles import Machine, choose, remarks

GB = 10**9


def machine(
    vram: float = 0.0, ram: float = 64.0, torch_cuda: bool = True, bitsandbytes: bool = True
) -> Machine:
    return Machine("a card" if vram else "", int(vram * GB), int(ram * GB), torch_cuda, bitsandbytes)


@pytest.mark.parametrize(
    ("vram", "name"), [(0, "cpu"), (6.4, "6gb"), (8.3, "8gb"), (12.6, "8gb"), (25.3, "24gb"), (141, "24gb")]
)
def test_the_card_chooses_the_profile(vram, name):
    chosen = choose(Settings(), machine(vram))
    assert chosen.name == name and bool(chosen.vram_bytes) == bool(vram)
    assert chosen.budget[1] == ("VRAM" if vram else "RAM")


def test_the_eight_gigabyte_profile_is_the_design_s():
    chosen = choose(Settings(profile="8gb"), machine())
    assert chosen.vram_bytes == 8.0e9 and chosen.warm_bytes == 20e9 and chosen.quantise == "nf4"
    assert chosen.mind == "meta-llama/Meta-Llama-3.1-8B-Instruct"


def test_settings_override_the_profile_each_for_itself():
    chosen = choose(Settings(hot_slots=3, warm_bytes=1e9, quantise="none"), machine(8.3))
    assert (chosen.hot_slots, chosen.warm_bytes, chosen.quantise) == (3, 1e9, "")
    assert chosen.vram_bytes == 8.0e9
    assert choose(Settings(vram_bytes=7e9), machine(8.3)).vram_bytes == 7e9


def test_a_small_machine_is_not_promised_more_ram_than_it_has():
    chosen = choose(Settings(), machine(ram=4))
    assert chosen.ram_bytes == 0.8 * 4 * GB and chosen.warm_bytes < chosen.ram_bytes


def test_a_card_that_torch_cannot_use_is_told_and_the_cpu_thinks():
    lame = machine(8.3, torch_cuda=False)
    assert choose(Settings(), lame).name == "cpu"
    (told,) = remarks(Settings(), lame)
    assert "without CUDA" in told and "CPU" in told


def test_without_bitsandbytes_a_base_stays_in_sixteen_bits_and_that_is_told():
    bare = machine(8.3, bitsandbytes=False)
    assert choose(Settings(), bare).quantise == ""
    (told,) = remarks(Settings(), bare)
    assert "bitsandbytes" in told and "RAM" in told
    assert remarks(Settings(), machine(8.3)) == [] == remarks(Settings(), machine())


def test_a_profile_there_is_not_is_a_bad_request():
    with pytest.raises(errors.BadRequest, match="there are cpu, 6gb, 8gb, 24gb"):
        choose(Settings(profile="12gb"), machine())
    with pytest.raises(errors.BadRequest, match="auto, none or nf4"):
        choose(Settings(quantise="int8"), machine())


def test_the_probe_imports_no_torch(monkeypatch):
    import subprocess
    import sys

    code = "import batos.mind.profiles as p, sys; p.probe(); print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"
    assert profiles.probe().ram_bytes > 1e8
