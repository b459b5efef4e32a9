"""What cannot be exported is refused in a sentence, and nothing is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from exporting import Work

from harness.base.errors import ConfigError, DataError, HarnessError, RuleError
from harness.commands import steps
from harness.commands.chosen_settings import choice
from harness.commands.export.nnunet import ExportRequest, export_nnunet


def test_pairs_of_strangers_to_the_training_set_are_refused(compared: Work, tmp_path: Path) -> None:
    session = compared.session()
    planner = steps.comparison_of(session, choice(session))
    spec = planner.replicates.plan(session.graph(), 1000, ("traditional+gan",), "").synthesis
    assert spec is not None
    path = session.work.job(spec).path / "store" / "meta.json"
    whole = path.read_text()
    meta = json.loads(whole)
    tested = next(d for d, role in session.roles.items() if role == "test")
    meta["lineage"]["patients"].append(tested)
    path.write_text(json.dumps(meta))
    try:
        with pytest.raises(RuleError, match="but 1 of the patients behind them are neither"):
            export_nnunet(session, ExportRequest(tmp_path, "traditional+gan", folds=2))
    finally:
        path.write_text(whole)
    assert list(tmp_path.iterdir()) == []


REFUSED: list[tuple[dict[str, Any], type[HarnessError], str]] = [
    ({"arm": "tradition"}, ConfigError, "but got 'tradition'; did you mean 'traditional'?"),
    ({"arm": "oracle"}, ConfigError, "but got 'oracle'; name one of them"),
    ({"arm": "shuffled"}, ConfigError, "labels are other pairs' on purpose; name another arm"),
    ({"arm": "pretrain-finetune"}, ConfigError, "which trains on two in turn; export its pairs"),
    ({"arm": "traditional+gan:added"}, ConfigError, "loss of their own; export 'traditional+gan',"),
    ({"replicate": 1000}, ConfigError, "but got 1000 with no --arm; leave it out"),
    (
        {"arm": "traditional", "replicate": 1000},
        ConfigError,
        "but got 1000 with --arm traditional, which has none; leave it out",
    ),
    (
        {"arm": "real-mask", "replicate": 1002},
        ConfigError,
        "--replicate must be one of the experiment's, 1000 to 1001, but got 1002",
    ),
    ({"folds": 4}, DataError, "but got 3 for 4 folds; type --folds 3"),
]


@pytest.mark.parametrize(("asked", "kind", "words"), REFUSED)
def test_what_cannot_be_exported_is_refused_in_a_sentence(
    compared: Work, tmp_path: Path, asked: dict[str, Any], kind: type[HarnessError], words: str
) -> None:
    with pytest.raises(kind) as caught:
        export_nnunet(compared.session(), ExportRequest(tmp_path, **asked))
    assert words in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_pairs_that_are_not_made_yet_are_asked_for(compared: Work, tmp_path: Path) -> None:
    session = compared.session("synthesis.pairs=13")
    with pytest.raises(DataError, match="replicate 1000 has none under the present settings; run"):
        export_nnunet(session, ExportRequest(tmp_path, "traditional+gan"))
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_over(compared: Work, real: tuple[Path, Any], tmp_path: Path) -> None:
    dataset, _ = real
    for output, number, words in (
        (dataset.parent, 501, "which is neither; name another --output or --dataset-id"),
        (dataset, 502, "name the folder above it"),
        (dataset / "dataset.json", 502, "--output must be a folder, but got the file"),
    ):
        with pytest.raises(ConfigError, match=words):
            export_nnunet(compared.session(), ExportRequest(output, dataset_id=number, folds=2))
    (tmp_path / "Dataset501_other").mkdir()
    with pytest.raises(ConfigError, match="but got 501, which 'Dataset501_other' has in"):
        export_nnunet(compared.session(), ExportRequest(tmp_path, folds=2))
    (tmp_path / "Dataset502_tiny").mkdir()  # empty is as good as new
    export_nnunet(compared.session(), ExportRequest(tmp_path, dataset_id=502, folds=2))
    assert (tmp_path / "Dataset502_tiny" / "dataset.json").exists()
