"""A killed export leaves no dataset."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from exporting import ARMS, Work


def test_a_killed_export_leaves_no_dataset(compared: Work, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    words = ["export", "nnunet", str(compared.file), "--output", str(raw), "--folds", "2", "-s"]
    words += [ARMS, "--workdir", str(compared.root), "--json"]
    command = [sys.executable, "-m", "harness", *words]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list(raw.glob(".*.part/labelsTr/*")) and time.monotonic() < deadline:
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert [path.name for path in raw.iterdir()] == [".Dataset501_tiny.part"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in raw.iterdir()] == ["Dataset501_tiny"]
    found = json.loads(done.stdout)
    assert found["dataset"] == str(raw / "Dataset501_tiny")
    assert found["cases"]["train"] == len(list((raw / "Dataset501_tiny/imagesTr").iterdir()))
    assert "nnUNetv2_plan_and_preprocess -d 501 -c 2d --verify_dataset_integrity" in done.stderr
    assert "nnUNetv2_train 501 2d 0" in done.stderr
