"""Device, precision and threads: what `auto` becomes, and that it stays so in a work folder."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from harness.base.errors import EnvironmentFault, OutOfMemory
from harness.base.files import read_json, read_record, write_json, write_record
from harness.commands.compute import resolve_compute, resolve_here
from harness.commands.costs.step_timing import faster, within_memory
from harness.config.experiment import Experiment
from harness.training.precision import PRECISIONS, has_bfloat16
from harness.work.specs import Specs
from tests.factories.tiny import tiny_experiment

AUTO = tiny_experiment(compute={"device": "cpu", "precision": "auto", "threads": 1})


def takes(seconds: float) -> Callable[[], None]:
    return lambda: time.sleep(seconds)


@pytest.mark.parametrize(
    ("float32", "bfloat16", "chosen"),
    [
        (0.02, 0.01, "bfloat16"),
        (0.01, 0.02, "float32"),
        (0.2, 0.2, "float32"),
        (0.2, 0.17, "bfloat16"),
    ],
)
def test_the_faster_precision_is_taken_and_float32_where_it_makes_no_difference(
    float32: float, bfloat16: float, chosen: str
) -> None:
    steps = {"float32": takes(float32), "bfloat16": takes(bfloat16)}
    found = faster(steps, 8, "cpu")
    assert found["precision"] == chosen
    assert found["images_per_second"]["float32"] == pytest.approx(8 / float32, rel=0.1)
    assert found["images_per_second"]["bfloat16"] == pytest.approx(8 / bfloat16, rel=0.1)


def test_a_step_that_wants_more_memory_than_is_free_is_refused_in_a_sentence() -> None:
    settings, before = AUTO.image, resource.getrlimit(resource.RLIMIT_AS)
    said = r"a step of the image network must fit in the .* free"
    with pytest.raises(OutOfMemory, match=said), within_memory("image", settings):
        torch.empty(2**43, dtype=torch.uint8)
    assert resource.getrlimit(resource.RLIMIT_AS) == before
    with pytest.raises(RuntimeError, match="something else"), within_memory("image", settings):
        raise RuntimeError("something else")


def test_a_first_slow_step_decides_nothing() -> None:
    waits = iter([0.5])
    steps = {"float32": takes(0.02), "bfloat16": lambda: time.sleep(next(waits, 0.01))}
    assert faster(steps, 8, "cpu")["precision"] == "bfloat16"


@pytest.mark.skipif(not has_bfloat16("cpu"), reason="no bfloat16 here")
def test_a_network_is_timed_once_when_it_is_wanted_and_the_choice_stays(tmp_path: Path) -> None:
    file = tmp_path / "resolved.json"
    asked = resolve_compute(AUTO, tmp_path)["precision"]
    assert not len(asked), "nothing is timed that no job asks for"
    assert read_record(file)["precision"] == {}
    first = {section: asked[section] for section in ("mask", "segmentation")}
    frozen = read_record(file)
    assert [key.split()[0] for key in frozen["precision"]] == list(first) == list(asked)
    for timed in frozen["precision"].values():
        assert timed["precision"] in PRECISIONS
        assert set(timed["images_per_second"]) == set(PRECISIONS)

    other = {"float32": "bfloat16", "bfloat16": "float32"}
    for timed in frozen["precision"].values():
        timed["precision"] = other[timed["precision"]]
    write_record(file, frozen)
    again = resolve_compute(AUTO, tmp_path)["precision"]
    assert dict(again) == {section: other[word] for section, word in first.items()}
    assert read_record(file) == frozen, "nothing is timed again"

    smaller = with_(AUTO, "mask", batch_size=3)
    assert resolve_compute(smaller, tmp_path)["precision"]["mask"] in PRECISIONS
    more = read_record(file)["precision"]
    assert len(more) == 3, "other settings, timed anew"
    assert {key: more[key] for key in frozen["precision"]} == frozen["precision"]


def with_(experiment: Experiment, section: str, **values: object) -> Experiment:
    changed = getattr(experiment, section).model_copy(update=values)
    return experiment.model_copy(update={section: changed})


def test_what_was_frozen_as_one_precision_holds_for_all(tmp_path: Path) -> None:
    before = {"device": "cpu", "precision": "bfloat16", "threads": 1}
    write_json(tmp_path / "resolved.json", before)
    assert resolve_compute(AUTO, tmp_path) == before
    assert read_json(tmp_path / "resolved.json") == before


def test_what_the_experiment_names_is_not_frozen_for_others(tmp_path: Path) -> None:
    named = tiny_experiment(compute={"device": "auto", "precision": "float32", "threads": 3})
    assert resolve_compute(named, tmp_path)["precision"] == "float32"
    assert read_json(tmp_path / "resolved.json")["precision"] == {}
    assert read_json(tmp_path / "resolved.json")["threads"] == 1


@pytest.mark.parametrize("frozen", [False, True])
def test_a_gpu_that_is_not_there_is_said(tmp_path: Path, frozen: bool) -> None:
    if resolve_here()["device"] == "cuda":
        pytest.skip("there is a GPU")
    experiment = tiny_experiment(compute={"device": "auto" if frozen else "cuda"})
    if frozen:
        timed = {"device": "cuda", "precision": {}, "threads": 1}
        write_json(tmp_path / "resolved.json", timed)
    with pytest.raises(EnvironmentFault, match="no usable GPU"):
        resolve_compute(experiment, tmp_path)


def test_a_job_computes_in_the_precision_of_its_network() -> None:
    precision = {"mask": "float32", "image": "bfloat16", "segmentation": "float32"}
    compute = {"device": "cpu", "precision": precision, "threads": 1}
    specs = Specs(AUTO, compute, {"name": "efficientnet-lite0", "weights": "digest"})
    store = specs.prepare({})
    mask, image = (specs.stage(store, s, 0) for s in (AUTO.mask, AUTO.image))
    scores = specs.score(store, AUTO.mask, mask, 1), specs.score(store, AUTO.image, image, 1)
    segmenter = specs.segmenter(store, "none", None, 0)
    test = specs.test_score(store, segmenter.done(1), specs.opening(store, {}, {}))
    asked = [
        each.compute["precision"] for each in (mask, scores[0], image, scores[1], segmenter, test)
    ]
    assert asked == ["float32", "float32", "bfloat16", "bfloat16", "float32", "float32"]
