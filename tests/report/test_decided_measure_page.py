"""A page that is decided by a distance, and one whose arms fail: words, worst ones, headline."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from factories.tiny import tiny_experiment
from page_checks import Smaller, check, rows_of, written

from harness.commands.chosen_settings import Choice
from harness.commands.compare_text import table_lines, verdict_lines
from harness.commands.steps import Compared
from harness.compare.user_register import EarlierOpenings
from harness.inference.decision import decide
from harness.inference.failures import ArmFailures
from harness.inference.table import Cell, Table
from harness.report.data import ReportData


@pytest.fixture
def by_distance(smaller: Smaller) -> ReportData:
    """Dice of every cell turned into millimetres: an arm that was better by Dice is so still."""
    data = smaller(12, 5)
    assert data.table is not None
    cells = [Cell(c.patient, c.replicate, c.arm, 100 * (1 - c.value)) for c in data.table.cells]
    experiment = data.experiment.model_copy(
        update={"decision": tiny_experiment(decision={"measure": "hd95_mm"}).decision}
    )
    table = Table(cells)
    effects = tuple(decide(table, experiment.decision))
    return replace(data, experiment=experiment, table=table, effects=effects)


def failures(data: ReportData, failed: int) -> tuple[ArmFailures, ...]:
    """Of 60 segmentations; half of the candidate's are empty."""
    assert data.table is not None
    return tuple(
        ArmFailures(arm, 60, failed * (arm == "traditional+gan"), failed // 2, 31.25)
        for arm in data.table.arms
    )


def test_a_page_that_is_decided_by_a_distance(
    by_distance: ReportData, smaller: Smaller, tmp_path: Path
) -> None:
    page, summary = written(by_distance, tmp_path / "mm")
    check(page)
    first, by_dice = by_distance.effects[0], smaller(12, 5).effects[0]
    assert first.inference.mean == pytest.approx(-100 * by_dice.inference.mean)
    assert "(lower is better)" in summary["headline"]
    assert "HD95 in mm \u2212" in summary["headline"]
    assert summary["measure"] == "hd95_mm"
    alts = {picture.alt: picture for picture in page.pictures}
    pair = "traditional+gan \u2212 traditional"
    assert f"Dots of paired differences in HD95 in mm, {pair}" in alts
    words = " ".join(alts["Mean HD95 in mm per arm"].words())
    assert "test HD95 (mm), mean of 12 patients" in words
    assert "inter-observer" not in words
    drawn = [picture for picture in page.pictures if picture.kind == "image/svg+xml"]
    assert not any("test Dice" in word for picture in drawn for word in picture.words())
    # The worst patient of an arm and of the difference is the one of the largest value.
    assert by_distance.table is not None
    cells = by_distance.table.values("traditional").mean(axis=1)
    arm = summary["arms"]["traditional"]
    assert arm["worst_patient"] == by_distance.table.patients[int(cells.argmax())]
    assert arm["worst_patient_hd95_mm"] == pytest.approx(cells.max())
    means = by_distance.table.difference("traditional", "traditional+gan").mean(axis=1)
    worst = by_distance.table.patients[int(means.argmax())]
    assert f"worst patient {worst}: " in " ".join(page.text.split())
    assert {row["measure"] for row in rows_of(tmp_path / "mm" / "effects.csv")} == {"hd95_mm"}


@pytest.mark.parametrize(("failed", "often"), [(0, False), (3, False), (4, True)])
def test_failures_stand_beside_the_answer_and_above_five_percent_before_it(
    by_distance: ReportData, tmp_path: Path, failed: int, often: bool
) -> None:
    """On the page, on the console and in JSON alike: 3 of 60 are 5 %."""
    rule, plain = by_distance.experiment.decision, by_distance.effects[0].sentence
    told = failures(by_distance, failed)
    assert by_distance.table is not None
    effects = tuple(decide(by_distance.table, rule, failures=told))
    page, summary = written(replace(by_distance, failures=told, effects=effects), tmp_path)
    head = "traditional+gan fails on 4 of 60 (7 %) of its segmentations of test structures"
    assert effects[0].sentence.endswith(plain)
    assert by_distance.comparison is not None
    earlier = EarlierOpenings(12)
    settings = Choice(by_distance.experiment.mask, by_distance.experiment.image, {}, {})
    compared = Compared(
        by_distance.comparison, by_distance.table, effects, settings, earlier, failures=told
    )
    for said in (
        summary["headline"],
        verdict_lines(compared)[-1],
        summary["effects"][0]["sentence"],
    ):
        assert said.startswith(head) == often
    console = "\n".join(table_lines(compared, rule.measured, [], {}))
    shown = f"failures (Dice below 0.1): {failed} of 60"
    assert (shown in console) == (shown in page.text) == (failed > 0)
    assert ("worst tenth of patients 31.2" in console) == (failed > 0)
    assert ("empty predictions" in page.text) == (failed > 1)
    assert summary["failures"][0]["segmentations"] == 60
