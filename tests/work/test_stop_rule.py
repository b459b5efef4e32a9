"""A training that fails to converge ends there, where asked to, and always at the same epoch."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories.tiny import StopAfter, Tiny, same, tiny_experiment, values_of, weights_at

from harness.jobs.spec import Spec
from harness.work.train.checkpoints import training_failure

# So narrow and so long that the discriminator wins.
LOSING = {"width": 8, "batch_size": 12, "optimiser": {"learning_rate": 1e-3}}
LATE = 400


def losing(root: Path, *stop_on: str) -> tuple[Tiny, Spec]:
    tiny = Tiny(root, tiny_experiment(mask=LOSING))
    return tiny, tiny.specs.stage(tiny.store, tiny.experiment.mask, 0, stop_on)


def test_it_ends_where_the_failure_is_first_seen_whatever_happened_on_the_way(
    tmp_path: Path,
) -> None:
    tiny, spec = losing(tmp_path / "ended", "convergence failure")
    stops = 0
    while tiny.run(spec, 5, LATE, stop=StopAfter(30)).state == "stopped":
        stops += 1
    assert stops >= 2
    folder = tiny.work.job(spec)
    late = folder.result(LATE)
    assert late is not None
    end = late["values"]["stopped_at"]
    assert 5 < end < LATE
    assert folder.checkpoints() == [5, end, LATE]
    assert weights_at(folder, LATE) == weights_at(folder, end) != weights_at(folder, 5)
    assert training_failure(folder.journal, end) is not None
    assert all(training_failure(folder.journal, epoch) is None for epoch in range(1, end))
    result = folder.result(end)
    assert result is not None
    assert (result["values"]["converged"], "stopped_at" in result["values"]) == (False, False)

    # The same epochs as those of a training that nobody ends.
    other, plain = losing(tmp_path / "plain")
    straight = other.must(plain, end)
    assert weights_at(straight, end) == weights_at(folder, end)
    same(values_of(straight), values_of(folder))

    # Asked to go further, it ends there again.
    longer = tiny.must(spec, LATE + 100)
    again = longer.result(LATE + 100)
    assert again is not None
    assert again["values"]["stopped_at"] == end
    assert weights_at(longer, LATE + 100) == weights_at(folder, end)


@pytest.mark.parametrize("stop_on", [(), ("convergence failure",)])
def test_a_training_that_converges_goes_on(stop_on: tuple[str, ...], tmp_path: Path) -> None:
    tiny = Tiny(tmp_path)
    spec = tiny.specs.stage(tiny.store, tiny.experiment.mask, 0, stop_on)
    result = tiny.must(spec, 8).result(8)
    assert result is not None
    assert "stopped_at" not in result["values"]
