"""The gallery: which patients are open, in which order, under whose outlines, within the page."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from factories.report import Material, in_memory
from page_reader import Page

from harness.base.files import write_json
from harness.config.measures import MEASURES
from harness.figures.encode import image_uri
from harness.inference.decision import decide
from harness.inference.table import Cell, Table
from harness.report.data import ReportData
from harness.report.gallery import make_gallery
from harness.report.page import write_report
from harness.report.picture_budget import PictureBudget


@pytest.fixture
def material() -> Iterator[Material]:
    with in_memory() as made:
        yield made


def pictured(
    material: Material, patients: int, gain: Callable[[int], float], replicates: int = 5
) -> ReportData:
    """A comparison in which the candidate is `gain(patient)` above the baseline in every replicate,
    with pictures of all patients; outlines name arm, replicate and patient."""
    data = material.data(patients=patients, replicates=replicates, sweeps=())
    assert data.comparison is not None
    assert data.table is not None
    candidate = data.experiment.decision.primary[1]
    names = data.table.patients
    noise = np.random.default_rng(1)
    for (arm, seed), spec in data.comparison.tests.items():
        kept = {}
        for place, name in enumerate(names):
            grain = noise.integers(0, 255, (110, 176)).astype(np.uint8)
            kept[name] = {
                "slice": place,
                "size": [176, 110],
                "ct": image_uri(grain, 9000),
                "truth": f"M0 0L{place} 1Z",
                "predicted": f"M{seed} {place}L{data.experiment.arms.index(arm)} 1Z",
            }
        write_json(material.work.job(spec).path / "slices.json", kept)
        material.record(spec, "slices.json")
    cells = [
        Cell(name, seed, arm, 0.5 + (gain(place) if arm == candidate else 0.0))
        for (arm, seed) in data.comparison.tests
        for place, name in enumerate(names)
    ]
    table = Table(cells)
    return replace(data, table=table, effects=decide(table, data.experiment.decision))


def test_the_five_worst_and_best_are_open_and_the_page_stays_small(
    material: Material, tmp_path: Path
) -> None:
    data = pictured(material, 30, lambda place: ((place * 7) % 30 - 15) / 100)
    path = write_report(data, tmp_path)
    assert path.stat().st_size < 2_000_000
    gallery = make_gallery(data, PictureBudget())
    assert gallery is not None
    assert gallery.replicate == 1000
    names = sorted(range(30), key=lambda place: (place * 7) % 30)
    shown = [
        [int(card.picture.alt.split()[1]) for card in cards]
        for cards in (gallery.worst, gallery.between, gallery.best)
    ]
    assert shown == [names[:5], names[5:25], names[25:]]
    worst = gallery.worst[0]
    assert worst.words == "pt_200: Dice 0.500 to 0.350; over replicates \u22120.150"
    arms = data.experiment.arms
    baseline, candidate = (arms.index(arm) for arm in data.experiment.decision.primary)
    assert worst.outlines == {
        "truth": "M0 0L0 1Z",
        "baseline": f"M1000 0L{baseline} 1Z",
        "candidate": f"M1000 0L{candidate} 1Z",
    }
    page = Page(path.read_text())
    slices = [p for p in page.pictures if p.alt.startswith("Slice ")]
    assert len(slices) == 30
    assert all(base64.b64decode(p.uri.partition("base64,")[2]) for p in slices)
    assert "20 patients between" in page.text


def test_where_lower_is_better_the_worst_is_the_highest(material: Material) -> None:
    data = pictured(material, 12, lambda place: place / 10)
    rule = data.experiment.decision.model_copy(update={"measure": "hd95_mm"})
    data = replace(data, experiment=data.experiment.model_copy(update={"decision": rule}))
    assert data.measured == MEASURES["hd95_mm"]
    gallery = make_gallery(data, PictureBudget())
    assert gallery is not None
    assert [card.picture.alt.split()[1] for card in gallery.worst] == ["11", "10", "9", "8", "7"]
    assert gallery.best[-1].words.startswith("pt_200: HD95 in mm 0.5 to 0.5")


def test_few_patients_are_all_open_and_a_full_page_says_what_it_leaves_out(
    material: Material,
) -> None:
    data = pictured(material, 8, lambda place: place / 100, replicates=3)
    gallery = make_gallery(data, PictureBudget(30_000))
    assert gallery is not None
    assert (len(gallery.worst), gallery.between, gallery.best) == (8, [], [])
    room = [bool(card.picture.uri) for card in gallery.worst]
    assert room[0]
    assert not room[-1]


def test_scores_without_pictures_have_no_gallery(material: Material) -> None:
    assert make_gallery(material.data(patients=5, sweeps=()), PictureBudget()) is None
