"""What every filling of an arm keeps; another package's joins by its entry point."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import cast, get_args

import numpy as np
import pytest
import torch
from factories.tiny import CPU, EXTRACTOR, StopAfter, Tiny, tiny_experiment, weights_at

from harness.compare.replicate import Replicate, ReplicatePlanner
from harness.config.arms import Arm, Order, arm_of, known_arms
from harness.config.choices import FILLINGS
from harness.config.experiment import Experiment
from harness.data.pairs.store import Store
from harness.jobs.context import Context
from harness.jobs.graph import JobGraph
from harness.jobs.spec import Request
from harness.work.specs import Specs

NEEDS_PATIENTS = {"fresh-phantoms"}
"""Whose job places frames by a rule that a real `prepare` learnt: run by tests/e2e."""


LARGER = tiny_experiment(data={"crop": {"frame_px": 128}})
"""The image stage's frames are multiples of 128 pixels."""


@pytest.fixture(params=FILLINGS.names())
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def planned(tiny: Tiny, graph: JobGraph, *arms: str) -> Replicate:
    stages = tiny.experiment.mask, tiny.experiment.image
    return ReplicatePlanner(tiny.specs, tiny.store, *stages).plan(graph, 0, arms, "chain")


def finished(tiny: Tiny, *arms: str) -> Replicate:
    """The chain after every job that the arms ask for, their segmenters left out."""
    while True:
        graph = JobGraph(tiny.work)
        chain = planned(tiny, graph, *arms)
        scores = {*map(id, chain.scores.values())}
        left = [
            request
            for request in graph.ready()
            if request.spec.kind != "segmenter" and id(request.spec) not in scores
        ]
        if not left:
            return chain
        for request in left:
            tiny.must(request.spec, *request.epochs)


def test_what_is_said_of_it_can_be_printed_and_drawn(name: str) -> None:
    filling = FILLINGS.get(name)
    assert filling.words == filling.words.strip() != ""
    plain, augmented = filling.colours
    assert plain != augmented
    assert all(re.fullmatch("#[0-9a-f]{6}", colour) for colour in filling.colours)
    assert set(filling.stages) <= {"mask", "image"}
    orders = [order for order in get_args(Order) if order != "longer"]  # of one arm alone
    arms = [Arm(augments, name, order) for augments in (False, True) for order in orders]
    assert len({arm.words for arm in arms}) == len({arm.colour for arm in arms}) == len(arms)
    assert all(arm_of(arm.product) == arm for arm in arms)


def test_its_arms_are_named_and_plan_one_store(name: str, tmp_path: Path) -> None:
    arms = (name, f"traditional+{name}", f"traditional+{name}:added")
    assert {*arms, f"{name}:only", f"traditional+{name}:first"} <= set(known_arms())
    assert [arm_of(arm).augmented for arm in arms] == [False, True, True]
    tiny = Tiny(tmp_path)
    graph = JobGraph(tiny.work)
    chain = planned(tiny, graph, *arms)
    assert set(chain.stages) == set(FILLINGS.get(name).stages)
    inputs = [chain.segmenters[arm].inputs.get("extra") for arm in arms]
    assert len({source.digest for source in inputs if source}) == len(chain.stores) <= 1
    for spec in chain.stores.values():
        assert [request.spec for request in graph.wanted()].count(spec) == 1
        assert all(source.digest == spec.digest for source in inputs if source)


def test_its_pairs_are_those_of_a_store_and_the_same_again(name: str, tmp_path: Path) -> None:
    if name in NEEDS_PATIENTS:
        pytest.skip("its job needs a prepared work folder")
    tiny = Tiny(tmp_path, LARGER)
    arm = f"traditional+{name}"
    spec = finished(tiny, arm).segmenters[arm]
    store = Store.open(tiny.store_folder)
    context = Context(Request(spec), tiny.work)
    ct, masks = FILLINGS.get(name).pairs(context, store)
    assert ct.shape[1:] == (1, *store.ct.shape[-2:])
    assert masks.shape == (len(ct), *store.masks.shape[1:])
    assert torch.isfinite(ct).all()
    assert ct.abs().max() <= 1 if len(ct) else FILLINGS.get(name).empty
    assert set(masks.unique().tolist()) <= {0, 1}
    own = FILLINGS.get(name).rows(store)
    assert len(own) == (0 if FILLINGS.get(name).generated else len(ct))
    again = FILLINGS.get(name).pairs(context, store)
    assert torch.equal(ct, again[0])
    assert torch.equal(masks, again[1])


def test_a_segmenter_trains_on_it_and_on_no_patient_kept_from_it(name: str, tmp_path: Path) -> None:
    if name in NEEDS_PATIENTS:
        pytest.skip("its job needs a prepared work folder")
    tiny = Tiny(tmp_path, LARGER)
    arms = (f"traditional+{name}", f"traditional+{name}:added")
    spec, on_top = finished(tiny, *arms).segmenters.values()
    epochs = tiny.specs.experiment.segmentation.epochs
    folder = tiny.must(spec, epochs)
    assert folder.result(epochs) is not None
    # On top of real pairs it trains too, stopped and resumed with the same bits.
    other = Tiny(tmp_path / "resumed", LARGER)
    finished(other, *arms)
    assert other.run(on_top, epochs, stop=StopAfter(2)).state == "stopped"
    weights = weights_at(other.must(on_top, epochs), epochs)
    assert weights == weights_at(tiny.must(on_top, epochs), epochs)
    assert (weights == weights_at(folder, epochs)) == FILLINGS.get(name).empty
    # Other pictures of all who are not training patients change no weight.
    other = Tiny(tmp_path / "other", LARGER)
    ct = np.array(Store.open(other.store_folder).ct)
    rows = Store.open(other.store_folder).rows
    kept = [place for place, row in enumerate(rows) if row.role != "train"]
    ct[kept] = -ct[kept]
    np.save(other.store_folder / "ct.npy", ct)
    context = SimpleNamespace(
        input=Context(Request(spec), tiny.work).input, spec=spec, work=tiny.work
    )
    mine, others = (
        FILLINGS.get(name).pairs(cast(Context, context), Store.open(t.store_folder))
        for t in (tiny, other)
    )
    assert torch.equal(mine[0], others[0])


def test_two_names_of_one_arm_are_refused() -> None:
    with pytest.raises(ValueError, match=r"'traditional\+real' and 'traditional', which are one"):
        tiny_experiment(arms=["traditional", "traditional+real", "traditional+gan"])
    with pytest.raises(ValueError, match="arms must train on pairs, but got 'nothing:only'"):
        tiny_experiment(arms=["traditional", "traditional+gan", "nothing:only"], decision=NO_MORE)
    arms, data = ["traditional", "traditional+gan", "oracle"], {"source": "openkbp", "root": "x"}
    with pytest.raises(ValueError, match=r"the arm 'oracle' needs data\.source 'phantom', where"):
        tiny_experiment(arms=arms, decision=NO_MORE, data=data)


NO_MORE = {"secondary": []}


def test_empty_places_make_batches_smaller(tmp_path: Path) -> None:
    from harness.work.train.mixed_batches import SlotBatches

    specs = Specs(tiny_experiment(), CPU, EXTRACTOR)
    config = specs.segmenter(specs.prepare({}), "nothing", None, 0).config
    real = torch.zeros(9, 1, 8, 8), torch.zeros(9, 1, 8, 8)
    batches = SlotBatches(real, (real[0][:0], real[1][:0]), config, 0)
    assert len(batches.batch(1, 0)["ct"]) == 2  # of 4, half of which are extra
    assert batches.images(1) == 2 * batches.updates(1)


def test_every_arm_stands_in_its_table_in_its_own_words() -> None:
    text = (Path(__file__).parents[2] / "docs/arms.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([^`]+)` \| (.*) \| (yes|no) \|$", text, re.MULTILINE)
    listed = {name: (words, augmented == "yes") for name, words, augmented in rows}
    arms = {name: arm_of(name) for name in Experiment.model_fields["arms"].default}
    arms |= {name: arm_of(name) for name in listed}
    assert listed == {name: (arm.held, arm.augmented) for name, arm in arms.items()}
