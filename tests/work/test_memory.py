"""Sharing a GPU: a training that wants more than its share fails by itself, in one sentence.

What needs a GPU runs where there is one, by HARNESS_TEST_DEVICE=cuda.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from factories.tiny import COMPUTE, Tiny, tiny_experiment, weights_at

from harness.base.errors import OutOfMemory
from harness.base.gpu_share import GpuShare
from harness.jobs.context import Context
from harness.jobs.memory import explain, others_hold_it
from harness.jobs.runner import run_request
from harness.jobs.spec import Request

on_a_gpu = pytest.mark.skipif(COMPUTE["device"] != "cuda", reason="no GPU is asked for")
GIB = 2**30


@pytest.fixture
def crowd(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process is one of a thousand on the GPU, to which it leaves its cache."""
    torch.cuda.empty_cache()
    for name, value in GpuShare(0, 1000).environment().items():
        monkeypatch.setenv(name, value)
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)


@on_a_gpu
@pytest.mark.usefixtures("crowd")
def test_a_training_larger_than_its_share_fails_with_its_sizes(tmp_path: Path) -> None:
    tiny = Tiny(tmp_path, tiny_experiment(mask={"width": 512}))
    spec = tiny.mask()
    outcome = run_request(Request(spec, (1,)), tiny.work)
    assert (outcome.state, outcome.exit_code) == ("failed", 3)
    assert re.fullmatch(
        r"a job must fit its GPU, but got one that wants more than the \d\.\d GiB that '.*' has "
        r"for each of 1000 workers \(mask-stage, batch size 4, width 512, 64 x 64 pixels\); take "
        r"smaller sizes, or \(before a sweep\) fewer --workers",
        outcome.reason,
    )
    assert tiny.work.job(spec).too_large() == outcome.reason


@on_a_gpu
def test_a_share_that_suffices_changes_no_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.cuda.empty_cache()
    alone, shared = Tiny(tmp_path / "alone"), Tiny(tmp_path / "shared")
    spec = alone.mask()
    assert run_request(Request(spec, (2,)), alone.work).state == "done"
    for name, value in GpuShare(3, 8).environment().items():
        monkeypatch.setenv(name, value)
    assert run_request(Request(spec, (2,)), shared.work).state == "done"
    assert torch.cuda.get_per_process_memory_fraction() < 1 / 8
    assert weights_at(alone.work.job(spec), 2) == weights_at(shared.work.job(spec), 2)


# --- without a GPU --------------------------------------------------------------------------------


def test_memory_of_the_machine_is_not_charged_to_the_gpu(tmp_path: Path) -> None:
    tiny = Tiny(tmp_path)
    spec = replace(tiny.mask(), compute={"device": "cuda", "precision": "float32", "threads": 1})
    context = Context(Request(spec, (1,)), tiny.work)
    for error in (
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: 9"),
        RuntimeError("could not create a primitive"),
        OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)),
    ):
        found = explain(error, context)
        assert isinstance(found, OutOfMemory)
        assert str(found) == (
            "a job must fit the machine's memory, but got one that does not (mask-stage, batch "
            "size 4, width 4, 64 x 64 pixels); take smaller sizes"
        )
    assert explain(ValueError("out of memory"), context) is None
    assert explain(RuntimeError("shapes must match"), context) is None


@pytest.mark.parametrize(
    ("tried", "reserved", "free", "sharers", "others"),
    [
        (50.0, 0.5, 7.0, 1, False),  # a screen holds a little: the training is too large
        (0.5, 6.9, 0.2, 1, False),
        (0.5, 1.0, 0.2, 1, True),  # somebody else's training
        (0.5, 1.8, 2.0, 4, False),  # its own cap
        (0.5, 0.5, 0.1, 4, True),  # below its cap, and yet nothing is left
        (None, 0.5, 0.1, 4, False),  # nothing is known of what was asked for
    ],
)
def test_others_are_to_blame_where_they_hold_what_the_job_could_have_had(
    tried: float | None, reserved: float, free: float, sharers: int, others: bool
) -> None:
    total = 8 * GIB
    share = GpuShare(0, sharers).memory(1, total)
    wanted = None if tried is None else tried * GIB
    found = others_hold_it(wanted, int(reserved * GIB), int(free * GIB), total, share, sharers)
    assert found == others
