"""Sharing a GPU: a training that wants more than its share fails by itself, in one sentence.

Run where there is a GPU, by HARNESS_TEST_DEVICE=cuda.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tiny_material import COMPUTE, Tiny, tiny_experiment, weights_at

from harness.base.place import Place
from harness.jobs.runner import run_request
from harness.records.spec import Request

pytestmark = pytest.mark.skipif(COMPUTE["device"] != "cuda", reason="no GPU is asked for")


@pytest.fixture
def crowd(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process is one of a thousand on the GPU, to which it leaves its cache."""
    torch.cuda.empty_cache()
    for name, value in Place(0, 1000).environment().items():
        monkeypatch.setenv(name, value)
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)


@pytest.mark.usefixtures("crowd")
def test_a_training_larger_than_its_share_fails_with_its_sizes(tmp_path: Path) -> None:
    tiny = Tiny(tmp_path, tiny_experiment(mask={"width": 512}))
    spec = tiny.mask()
    outcome = run_request(Request(spec, (1,)), tiny.work)
    assert (outcome.state, outcome.exit_code) == ("failed", 3)
    assert re.fullmatch(
        r"a job must fit its GPU, but got one that wants more than the 0\.\d GiB that '.*' has for "
        r"each of 1000 workers \(mask-stage, batch size 4, width 512, 64 x 64 pixels\); take "
        r"smaller sizes, or fewer --workers",
        outcome.reason,
    )
    assert tiny.work.job(spec).too_large() == outcome.reason


def test_a_share_that_suffices_changes_no_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.cuda.empty_cache()
    alone, shared = Tiny(tmp_path / "alone"), Tiny(tmp_path / "shared")
    spec = alone.mask()
    assert run_request(Request(spec, (2,)), alone.work).state == "done"
    for name, value in Place(3, 8).environment().items():
        monkeypatch.setenv(name, value)
    assert run_request(Request(spec, (2,)), shared.work).state == "done"
    assert weights_at(alone.work.job(spec), 2) == weights_at(shared.work.job(spec), 2)
