"""Subgroups on the page, in its figure and in report.json."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from page_checks import Smaller, check, written

from harness.base.text import DASH
from harness.inference.subgroups import Factor, subgroup_effects
from harness.report.data import ReportData


def with_groups(data: ReportData, **more: object) -> ReportData:
    """Metal in 6 of 12 patients, a centre of 3 patients, no sides."""
    assert data.table is not None
    names = {f"digest {name}": name for name in data.table.patients}
    digests = list(names)
    declared = {
        "metal": {"words": "over 0.1 ml", "groups": {"metal": digests[:6], "none": digests[6:]}},
        "centre": {"words": "of a file", "groups": {"A": digests[:3], "<B>": digests[3:]}},
        "side": {"words": "sides", "left_out": "no sides"},
    }
    pair = data.experiment.decision.primary
    found = subgroup_effects(data.table, pair, declared, names, {}, **more)  # type: ignore[arg-type]
    return replace(data, subgroups=found)


def shown(factor: Factor, place: int) -> list[str]:
    about = factor.groups[place].inference
    ends = about.interval_95
    wide = f"{ends[0]:+.4f} to {ends[1]:+.4f}" if ends else DASH
    row = [factor.groups[place].name, str(about.patients), f"{about.mean:+.4f}", wide]
    return [cell.replace("-", "\u2212") for cell in row]


def test_groups_have_a_picture_their_numbers_and_a_test(smaller: Smaller, tmp_path: Path) -> None:
    data = with_groups(smaller(12, 5))
    page, summary = written(data, tmp_path)
    check(page)
    metal, centre, _ = data.subgroups
    for factor in (metal, centre):
        for place in (0, 1):
            assert shown(factor, place) in page.rows
    assert metal.p is not None
    text = page.text.replace("\u2212", "-")
    assert metal.difference is not None
    assert f"metal minus none: {metal.difference.mean:+.4f} (" in text
    assert re.search(rf"; p {metal.p:.3f}, adjusted {metal.p:.3f}|; p < 0.001", text)
    assert "no test: it needs 5 patients in each group and 5 replicates" in text
    assert "left out: no sides" in text
    (picture,) = [p for p in page.pictures if p.alt == "The effect by subgroup"]
    words = picture.words()
    assert {"metal (6)", "none (6)", "A (3)", "<B> (9)", "metal", "centre"} <= set(words)
    listed = summary["subgroups"]
    assert [one["name"] for one in listed] == ["metal", "centre", "side"]
    assert listed[0]["p_adjusted"] == metal.p
    assert set(listed[0]["difference"]) == {"interval_95", "mean"}
    assert [group["patients"] for group in listed[1]["groups"]] == [3, 9]
    assert (listed[2]["groups"], listed[2]["note"]) == ([], "no sides")


def test_without_groups_there_is_no_section_and_nothing_to_draw_no_picture(
    smaller: Smaller, tmp_path: Path
) -> None:
    data = smaller(6, 3)
    page, _ = written(data, tmp_path / "none")
    assert "Subgroups" not in page.text
    left = replace(data, subgroups=(Factor("side", "sides", note="no sides"),))
    page, _ = written(left, tmp_path / "left")
    check(page)
    assert "left out: no sides" in page.text
    assert not [p for p in page.pictures if p.alt == "The effect by subgroup"]
