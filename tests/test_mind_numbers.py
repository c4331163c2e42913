"""The mind's benchmark runs from end to end in a tiny shape, on the road that a CUDA device takes."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "bench_gpu"


@pytest.fixture
def bench_gpu(monkeypatch):
    """Run the script in this process, as with these words behind its name."""

    def run(*words: str) -> int:
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *words])
        return runpy.run_path(str(SCRIPT))["main"]()

    return run


def test_every_row_of_the_benchmark_is_measured_in_a_tiny_shape(bench_gpu, capsys):
    words = "--shape tiny --device cpu --wide --cap 2e9 --adapters 10 --swaps 40 --prefix 120 --chaos 0.5 --door 1"
    assert bench_gpu(*words.split()) == 0
    told = capsys.readouterr()
    rows = {line.split("|")[1].strip(): line for line in told.out.splitlines() if line.startswith("| ")}
    assert len(rows) == 16, list(rows)  # fifteen and the heading
    assert any(what.startswith("`kernel ping` while the tiny mind generates") for what in rows)
    endurance = next(line for what, line in rows.items() if what.startswith("40 swaps"))
    assert "base logits bit-equal, 8 of 8 experts bit-equal" in endurance
    assert "8 of 8 bit-equal" in rows["rows of 8 personas, against the same batch of one"]
    assert sum("equal output" in line for line in rows.values()) == 2
    assert "0 crashes" in next(line for what, line in rows.items() if what.startswith("chaos"))
    assert "ledger: kv 0" in told.err


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_card_it_says_what_can_be_run_instead(bench_gpu, capsys):
    assert bench_gpu() == 2
    assert "--shape tiny --device cpu" in capsys.readouterr().err


@pytest.mark.gpu
@pytest.mark.skipif(
    not torch.cuda.is_available(), reason="no CUDA device: run scripts/bench_gpu where there is one"
)
def test_the_eight_billion_mind_keeps_under_its_cap_on_a_card(bench_gpu, capsys):
    assert bench_gpu("--swaps", "500") == 0
    assert "0 crashes" in capsys.readouterr().out
