"""The same phantoms in two work folders: a rule is declared, both open them, each page says what
it knows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from factories.cli import run_cli

pytestmark = pytest.mark.timeout(600)

EXPERIMENT = """\
name: again
conclusive: false
data:
  phantom: {patients: 8, slices: 16, spacing_mm: [4.0, 3.0, 3.0]}
  roles: {validation: 0.2, test: 0.5}
  spacing_mm: 2.5
  crop: {frame_px: 64}
compute: {precision: float32}
segmentation: {channels: [4, 8], residual_units: 0, batch_size: 4, updates: 4, updates_per_epoch: 2}
arms: [none, traditional]
replicates: {count: 1}
decision: {baseline: none, candidate: traditional, secondary: []}
sweep: {mask: null, image: null, segmentation: null}
tracking: {enabled: false}
"""
NONE = "No earlier opening of these 4 test patients in other work folders is in the user"


def page(workdir: str, *settings: str) -> tuple[str, dict[str, object]]:
    """The page as text, and what report.json says of earlier openings."""
    assert run_cli("report", "again.yaml", "--workdir", workdir, *settings).code == 0
    folder = Path(workdir, "experiments", "again", "report")
    summary = json.loads((folder / "report.json").read_text())
    return (folder / "index.html").read_text(encoding="utf-8"), summary["earlier_openings"]


def test_what_another_work_folder_opened_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    Path("again.yaml").write_text(EXPERIMENT)
    compare = ("compare", "again.yaml", "--engine", "inline", "--json")
    declare = ("compare", "again.yaml", "--json", "--declare")

    declared = run_cli(*declare, "rule.json", "--workdir", "one")
    assert declared.code == 0, declared.err
    assert sorted(path.name for path in Path("one/jobs").glob("*")) == []
    rule = json.loads(Path("rule.json").read_text())
    assert (rule["rule"]["arms"], rule["rule"]["replicates"]) == (["none", "traditional"], [1000])
    assert len(rule["rule"]["patients"]) == 4
    assert rule["rule"]["decision"]["margin"] == 0.01
    again = run_cli(*declare, "rule.json", "--workdir", "one")
    assert (again.code, "'rule.json', which exists" in again.err) == (2, True)
    both = run_cli(*declare, "other.json", "--dry-run")
    assert (both.code, "without --dry-run" in both.err) == (2, True)

    first = run_cli(*compare, "--workdir", "one")
    assert first.code == 0, first.err
    assert NONE in first.err
    entered = Path("state/harness/openings.jsonl").stat().st_mtime_ns
    scoring = [path.stat().st_mtime_ns for path in Path("one/jobs/test-score").glob("*/spec.json")]
    assert len(scoring) == 2
    assert entered < min(scoring), "before any test score"
    opening = json.loads(Path("one/openings.jsonl").read_text())
    assert (opening["rule"], opening["patients"]) == (rule["rule_digest"], rule["rule"]["patients"])
    for workdir, where in (("one", "this work folder"), ("two", "another work folder, under the")):
        late = run_cli(*declare, "late.json", "--workdir", workdir)
        assert (late.code, f"they were opened in {where}" in late.err) == (2, True)
    assert not Path("late.json").exists()

    margin = ("-s", "decision.margin=0.02")
    second = run_cli(*compare, "--workdir", "two", *margin)
    assert second.code == 0, second.err
    assert "1 earlier opening of these 4 test patients in other work folders: " in second.err
    assert "(4 of 4 patients, another rule, the same segmenters)" in second.err
    (effect,) = second.json["effects"]
    assert effect["status"] == "cells only", "as without it"
    assert effect["comparisons"] == 2
    counted = "1 candidate was looked at on these test patients before: the primary verdict is"
    assert counted in second.err
    assert not json.loads(Path("two/openings.jsonl").read_text())["extended"]
    text, known = page("two", *margin)
    assert "1 earlier opening of these 4 test patients in other work folders: " in text
    assert known == second.json["earlier_openings"]
    assert counted in text

    repeated = run_cli(*compare, "--workdir", "one")
    assert NONE in repeated.err
    assert repeated.json["effects"][0]["comparisons"] is None, "what came later does not count"
    text, known = page("one")
    assert NONE in text
    assert (known["known"], known["openings"]) == (True, [])
    assert "before the test was opened" in text
    dry = ("compare", "again.yaml", "--dry-run", "--workdir", "one")
    assert "will be an extension" not in run_cli(*dry).err
    assert "will be an extension, without a verdict" in run_cli(*dry, *margin).err
    assert "an extension" not in repeated.err + first.err + second.err

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "again.yaml"))  # nothing is written there
    unknown = run_cli(*compare, "--workdir", "two", *margin)
    assert unknown.code == 0
    said = "Earlier openings in other work folders are not known: harness/openings.jsonl"
    assert unknown.err.count(said) == 1
    assert counted in unknown.err, "what was known at the opening counts, whoever reads it"
    assert f"warning: {said}" in unknown.err
    text, known = page("two", *margin)
    assert said in text
    assert known["known"] is False
    assert str(tmp_path) not in text
