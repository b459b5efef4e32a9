"""What MLflow is given: names, numbers, batches and pictures that it takes."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.entities import Metric
from mlflow.utils.validation import _validate_metric_name, _validate_param_name
from PIL import Image

from harness.jobs.journal import JournalLine
from harness.tracking.journal_cursor import Picture
from harness.tracking.mlflow_format import clean_name, send_pictures, to_batches, to_metrics
from harness.tracking.store import open_client, resolve


@pytest.mark.parametrize(
    ("given_name", "clean"),
    [
        ("quality/kid", "quality/kid"),
        ("optimiser.learning_rate", "optimiser.learning_rate"),
        ("extra slots", "extra slots"),
        ("a[0]=b", "a_0__b"),
        ("../../etc/x", "etc/x"),
        ("/lead//double/", "lead/double"),
        ("", "_"),
        ("..", "_"),
        ("é", "_"),
    ],
)
def test_names(given_name: str, clean: str) -> None:
    assert clean_name(given_name) == clean


@given(st.text(max_size=400))
def test_mlflow_takes_every_name(text: str) -> None:
    name = clean_name(text)
    _validate_metric_name(name)
    _validate_param_name(name)
    assert clean_name(name) == name


def test_infinity_is_a_gap_with_a_flag_and_time_is_the_journals() -> None:
    lines = [JournalLine(3, "train/loss", value, 1000 + n) for n, value in enumerate(
        (0.5, math.nan, math.inf, -math.inf))]  # fmt: skip
    found = [(m.key, m.value, m.step, m.timestamp) for m in to_metrics(lines)]
    gap = [(key, step, time) for key, value, step, time in found if math.isnan(value)]
    assert gap == [("train/loss", 3, 1001), ("train/loss", 3, 1002), ("train/loss", 3, 1003)]
    assert [entry for entry in found if not math.isnan(entry[1])] == [
        ("train/loss", 0.5, 3, 1000),
        ("train/loss_is_infinite", 1.0, 3, 1002),
        ("train/loss_is_infinite", -1.0, 3, 1003),
    ]


@given(st.integers(0, 2500), st.integers(0, 250), st.integers(0, 250), st.booleans())
def test_batches_hold_everything_once_and_no_more_than_mlflow_takes(
    metrics: int, params: int, tags: int, noted: bool
) -> None:
    points = [Metric("a", float(n), 0, n) for n in range(metrics)]
    settings = {f"p{n}": str(n) for n in range(params)}
    words = {f"t{n}": str(n) for n in range(tags)} | ({"sent": "x"} if noted else {})
    cut = list(to_batches(points, settings, words, last="sent"))
    assert [point for batch in cut for point in batch[0]] == points
    assert {param.key: param.value for batch in cut for param in batch[1]} == settings
    assert {tag.key: tag.value for batch in cut for tag in batch[2]} == words
    assert sum(len(batch[2]) for batch in cut) == len(words)
    for batch in cut:
        assert len(batch[1]) <= 100
        assert len(batch[2]) <= 100
        assert sum(map(len, batch)) <= 1000
        assert ("sent" in {tag.key for tag in batch[2]}) == (noted and batch is cut[-1])


def draw(folder: Path, key: str, epoch: int, size: tuple[int, int] = (70, 300)) -> Picture:
    path = folder / f"{key}-{epoch:06d}.png"
    pixels = np.random.default_rng(epoch).integers(0, 255, size, dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return Picture(path, key, epoch)


def test_pictures_are_sent_under_names_that_a_replay_repeats(workdir: Path, tmp_path: Path) -> None:
    client = open_client(resolve(workdir, None))
    store = resolve(workdir, None)
    assert store.artifacts is not None
    run = client.create_run(client.create_experiment("demo", store.artifacts.as_uri())).info.run_id
    pictures = [draw(tmp_path, "samples", epoch) for epoch in (1, 10, 40)]

    def files() -> dict[str, bytes]:
        return {p.name: p.read_bytes() for p in store.artifacts.rglob("images/*")}  # type: ignore[union-attr]

    send_pictures(client, run, "run|part", pictures, 1_790_000_000_000)
    first = files()
    assert len(first) == 8  # three steps and the newest at step 0, two files each
    send_pictures(client, run, "run|part", pictures, 1_790_000_000_000)
    assert files() == first
    steps = {int(name.split("+")[2]) for name in first}
    assert steps == {0, 1, 10, 40}
    assert all(name.startswith("samples~samples+step+") for name in first)
    exact = next(p for p in first if "+step+10+" in p and p.endswith(".png"))
    shutil.copy(pictures[1].path, tmp_path / "expected.png")
    (copy,) = store.artifacts.rglob(exact)
    np.testing.assert_array_equal(
        np.asarray(Image.open(copy)), np.asarray(Image.open(tmp_path / "expected.png"))
    )
    previews = [Image.open(p) for p in store.artifacts.rglob("*.webp")]
    assert all(preview.width == preview.height for preview in previews)
    (newest,) = store.artifacts.rglob("*+step+0+*.png")
    assert Image.open(newest).height > 70  # a line of words stands above it


def test_a_later_batch_moves_the_newest_picture(workdir: Path, tmp_path: Path) -> None:
    client = open_client(resolve(workdir, None))
    store = resolve(workdir, None)
    assert store.artifacts is not None
    run = client.create_run(client.create_experiment("demo", store.artifacts.as_uri())).info.run_id
    send_pictures(client, run, "o", [draw(tmp_path, "s", 1)], 1000)
    (newest,) = store.artifacts.rglob("*+step+0+*.png")
    before = newest.read_bytes()
    send_pictures(client, run, "o", [draw(tmp_path, "s", 2)], 1000)
    assert list(store.artifacts.rglob("*+step+0+*.png")) == [newest]
    assert newest.read_bytes() != before
