"""A decay branches off a shared phase and ends bit for bit as one training from scratch."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories.tiny import StopAfter, Tiny, same, tiny_experiment, values_of, weights_at

from harness.jobs.folder import JobFolder
from harness.jobs.spec import Phases
from harness.training.schedule import pix2pix_decay

EPOCHS = 3  # two at a constant rate, one that decays


class Decaying(Tiny):
    """A tiny image stage of `EPOCHS`."""

    def __init__(self, root: Path, epochs: int = EPOCHS) -> None:
        data = {"crop": {"frame_px": 128}, "structures": ["structure"]}
        super().__init__(root, tiny_experiment(data=data, image={"schedule": {"epochs": epochs}}))

    def phases(self, epochs: int = EPOCHS) -> Phases:
        settings = self.experiment.image
        schedule = settings.schedule.model_copy(update={"epochs": epochs})
        return self.specs.training(
            self.store, settings.model_copy(update={"schedule": schedule}), 0
        )

    def steady(self, training: Phases, branch: bool) -> JobFolder:
        epoch = training.steady_epochs
        return self.must(training.steady, epoch, branches=(epoch,) if branch else ())

    def decay(self, training: Phases, *epochs: int) -> JobFolder:
        assert training.decay is not None
        return self.must(training.decay, *epochs)


def scratch(root: Path, epochs: int = EPOCHS) -> JobFolder:
    """The whole training in one go: no state was kept, so the decay begins at its first epoch."""
    tiny = Decaying(root, epochs)
    training = tiny.phases(epochs)
    tiny.steady(training, branch=False)
    return tiny.decay(training, epochs)


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> JobFolder:
    return scratch(tmp_path_factory.mktemp("straight"))


def test_a_branch_has_the_weights_and_values_of_a_training_from_scratch(
    straight: JobFolder, tmp_path: Path
) -> None:
    tiny = Decaying(tmp_path)
    training = tiny.phases()
    steady = tiny.steady(training, branch=True)
    assert steady.branch(2).exists()
    folder = tiny.decay(training, EPOCHS)
    assert weights_at(folder, EPOCHS) == weights_at(straight, EPOCHS)
    same(values_of(folder), values_of(straight))
    base = tiny.experiment.image.optimiser.learning_rate
    for epoch in range(1, EPOCHS + 1):
        rate = values_of(folder)[epoch, "train/learning_rate"]
        assert rate == pytest.approx(base * pix2pix_decay(epoch, EPOCHS))
    pictures = [sorted(p.name for p in f.samples.iterdir()) for f in (folder, straight)]
    assert set(pictures[0]) >= {p for p in pictures[1] if int(p.split("-")[-1][:6]) > 2}
    assert not folder.state.exists(), "nothing follows a decay"
    assert not steady.branch(2).exists(), "nobody else branches off there"
    assert steady.state.exists(), "the constant phase can go on"


def test_only_the_decay_is_trained_where_the_state_was_kept(tmp_path: Path) -> None:
    tiny = Decaying(tmp_path)
    training = tiny.phases()
    tiny.steady(training, branch=True)
    assert training.decay is not None
    counted = StopAfter(10_000)
    assert tiny.run(training.decay, EPOCHS, stop=counted).state == "done"
    each = 10_000 - counted.left
    other = Decaying(tmp_path / "whole")
    other.steady(training, branch=False)
    counted = StopAfter(10_000)
    assert other.run(training.decay, EPOCHS, stop=counted).state == "done"
    assert 10_000 - counted.left == 3 * each  # three epochs instead of one


def test_a_stopped_decay_goes_on(straight: JobFolder, tmp_path: Path) -> None:
    tiny = Decaying(tmp_path)
    training = tiny.phases()
    tiny.steady(training, branch=True)
    assert training.decay is not None
    stops = 0
    while tiny.run(training.decay, EPOCHS, stop=StopAfter(1)).state == "stopped":
        stops += 1
    assert stops > 2
    folder = tiny.work.job(training.decay)
    assert weights_at(folder, EPOCHS) == weights_at(straight, EPOCHS)
    same(values_of(folder), values_of(straight))


def test_a_start_killed_between_journal_and_state_begins_again(
    straight: JobFolder, tmp_path: Path
) -> None:
    tiny = Decaying(tmp_path)
    training = tiny.phases()
    steady = tiny.steady(training, branch=True)
    assert training.decay is not None
    folder = tiny.work.job(training.decay)
    folder.open(training.decay)
    folder.journal.write_bytes(steady.journal.read_bytes())
    folder.samples.mkdir()
    folder = tiny.decay(training, EPOCHS)
    assert weights_at(folder, EPOCHS) == weights_at(straight, EPOCHS)
    same(values_of(folder), values_of(straight))


def test_two_lengths_share_the_constant_phase(straight: JobFolder, tmp_path: Path) -> None:
    tiny = Decaying(tmp_path)
    short, long = tiny.phases(2), tiny.phases(3)
    assert short.steady == long.steady
    assert short.decay != long.decay
    tiny.must(long.steady, 1, 2, branches=(1, 2))  # two thirds of two and of three
    ends = [weights_at(tiny.decay(training, n), n) for training, n in ((short, 2), (long, 3))]
    assert ends[0] == weights_at(scratch(tmp_path / "two", 2), 2)
    assert ends[1] == weights_at(straight, 3)


def test_one_epoch_has_nothing_to_decay(tmp_path: Path) -> None:
    training = Decaying(tmp_path).phases(1)
    assert training.decay is None
    assert training.done() == training.steady.done(1)
