"""Structures that lie where no frame is: refused or warned of before anything is trained."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories.cli import run_cli

EXPERIMENT = """\
name: elsewhere
data:
  phantom: {patients: 5, slices: 12, spacing_mm: [4.0, 3.0, 3.0]}
  spacing_mm: 2.5
  crop: {frame_px: 64, placement: fixed, fixed_row: ROW, fixed_column: COLUMN}
tracking: {enabled: false}
"""


@pytest.fixture
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    return "elsewhere.yaml"


def test_frames_that_hold_nothing_are_refused(prepared: str) -> None:
    Path(prepared).write_text(EXPERIMENT.replace("ROW", "0").replace("COLUMN", "0"))
    found = run_cli("prepare", prepared, "--engine", "inline")
    assert found.code == 2
    assert "frames must hold the structure, but got structure voxels outside the frame" in found.err
    assert "100 %" in found.err
