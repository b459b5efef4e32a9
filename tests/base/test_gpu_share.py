"""Workers dealt out over GPUs."""

from __future__ import annotations

import pytest

from harness.base.gpu_share import CONTEXT, GpuShare


def test_a_process_that_nobody_told_is_the_only_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HARNESS_WORKER", raising=False)
    assert GpuShare.here() == GpuShare(0, 1)
    assert GpuShare.here().memory(1, 1000) == 1000


def test_a_place_survives_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in GpuShare(3, 12).environment().items():
        monkeypatch.setenv(name, value)
    assert GpuShare.here() == GpuShare(3, 12)


@pytest.mark.parametrize("workers", [1, 2, 5, 8, 12])
@pytest.mark.parametrize("gpus", [1, 2, 4])
def test_workers_are_dealt_out_evenly_and_their_shares_fit(workers: int, gpus: int) -> None:
    places = [GpuShare(number, workers) for number in range(workers)]
    by_gpu = {gpu: [p for p in places if p.gpu(gpus) == gpu] for gpu in range(gpus)}
    counts = sorted(len(sharers) for sharers in by_gpu.values())
    assert counts[-1] - counts[0] <= 1
    for sharers in filter(None, by_gpu.values()):
        assert all(place.sharers(gpus) == len(sharers) for place in sharers)
        room = 80 * 2**30
        taken = sum(place.memory(gpus, room) for place in sharers)
        assert taken + (len(sharers) > 1) * len(sharers) * CONTEXT <= room
        assert taken > 0.75 * room


def test_a_share_is_never_nothing() -> None:
    assert GpuShare(0, 100).memory(1, 8 * 2**30) == 8 * 2**30 // 100
