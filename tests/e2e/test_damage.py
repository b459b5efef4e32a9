"""Any file of a work folder is cut, emptied, overwritten or has one bit turned: the next command
has the same figures or a sentence, never a traceback and never other figures."""

from __future__ import annotations

import csv
import json
import random
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from factories.cli import run_cli

pytestmark = pytest.mark.timeout(900)

EXPERIMENT = """\
name: mini
conclusive: false
data:
  phantom: {patients: 11, slices: 12, spacing_mm: [4.0, 3.0, 3.0]}
  roles: {validation: 0.25, test: 0.35}
  spacing_mm: 2.5
  crop: {frame_px: 64}
mask: {width: 4, optimiser: {learning_rate: 1.0e-3}, schedule: {epochs: 12}}
image: {width: 4, batch_size: 16, schedule: {epochs: 3}}
synthesis: {pairs: 8, attempts: 900}
segmentation: {channels: [4, 8], residual_units: 0, batch_size: 4, updates: 4, updates_per_epoch: 2}
arms: [none, traditional, gan, traditional+gan]
replicates: {count: 1}
metrics: {images: 16, scored_epochs: 1, audit_extractors: [auto]}
sweep:
  sampler: grid
  seeds: 1
  mask: {trials: 2, space: {batch_size: {values: [6, 12]}}}
  image: null
  segmentation: null
compute: {precision: float32}
"""
REPAIRED = (
    "segmenter/D/checkpoints/N/weights.safetensors",
    "segmenter/D/checkpoints/N/result.json",
    "segmenter/D/journal.jsonl",
    "mask-stage/D/state/latest.pt",
    "test-score/D/scores.csv",
    "opening/D/result.json",
    "prepare/D/store/ct.npy",
    "synthesis/D/store/index.csv",
    "audit/D/result.json",
    "prepare/D/spec.json",
)
"""Files of jobs that a short version turns a bit of: `run` makes again what they stand for."""
WORDS = ("harness wrote it", "made again", "must be", "cannot be read")
"""One of them stands where something is not as it was."""
SAID = {
    "experiments/mini/chosen-N.yaml": "move it away and repeat",
    "studies/mask.db": "move it away",
}
"""Files that nothing makes again by itself, and what the sentence says."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A finished run."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        Path("mini.yaml").write_text(EXPERIMENT)
        answer = run("run", folder / "work")
        assert answer.code == 0, answer.err
        yield folder / "work"


def run(command: str, work: Path) -> object:
    inline = ["--engine", "inline"] if command in ("run", "compare", "sweep") else []
    return run_cli(command, "mini.yaml", "--workdir", work, *inline)


def kinds(work: Path) -> dict[str, Path]:
    """One file of each kind, by its name without digests and numbers."""
    found: dict[str, Path] = {}
    for path in sorted(work.rglob("*")):
        if path.is_file() and path.stat().st_size:
            name = re.sub(r"[0-9a-f]{12,}", "D", str(path.relative_to(work)))
            found.setdefault(re.sub(r"\d+", "N", name), path.relative_to(work))
    return found


def damage(path: Path, how: str) -> None:
    content, dice = bytearray(path.read_bytes()), random.Random(str(path.name) + how)
    if how == "bit":
        content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
    garbage = bytes(dice.randrange(256) for _ in range(2000))
    ways = {"empty": b"", "half": content[: len(content) // 2], "garbage": garbage}
    path.write_bytes(bytes(ways.get(how, content)))


def scores(work: Path) -> object:
    """Of the test patients, as the jobs have them."""
    found = []
    for path in sorted(work.glob("jobs/test-score/*/scores.csv")):
        with open(path, newline="", encoding="utf-8") as file:
            found.append(list(csv.reader(file)))
    return found


def page(work: Path) -> object:
    """What it says of the arms."""
    said = json.loads(next(work.rglob("report/report.json")).read_text(encoding="utf-8"))
    return said["effects"], said["arms"]


def tried(whole: Path, tmp_path: Path, name: str, how: str, *commands: str) -> list[str]:
    """Damage a copy, run the commands one after the other; what each said on stderr."""
    work = tmp_path / re.sub(r"\W", "-", f"{name}-{how}-{commands[0]}")
    shutil.copytree(whole, work)
    damage(work / kinds(whole)[name], how)
    said = []
    for command in commands:
        answer = run(command, work)
        assert "Traceback" not in answer.err, f"{name}, {how}, {command}:\n{answer.err}"
        assert answer.code in (0, 2, 3), f"{name}, {how}, {command}:\n{answer.err}"
        if answer.code == 0 and command in ("run", "compare"):
            assert scores(work) == scores(whole), f"{name}, {how}, {command}"
        # What a report cannot make again it leaves out, with a word.
        silent = not any(word in answer.err for word in WORDS)
        if answer.code == 0 and (command == "run" or (command == "report" and silent)):
            assert page(work) == page(whole), f"{name}, {how}, {command}"
        if answer.code:
            assert "error: " in answer.err
        said.append(answer.err)
    shutil.rmtree(work)
    return said


def test_what_can_be_made_again_is_with_a_line(whole: Path, tmp_path: Path) -> None:
    for name in REPAIRED:
        (said,) = tried(whole, tmp_path, f"jobs/{name}", "bit", "run")
        assert "error: " not in said
        if "latest.pt" not in name and "spec.json" not in name:
            assert "made again" in said, name


def test_what_cannot_ends_in_a_sentence(whole: Path, tmp_path: Path) -> None:
    for name, words in SAID.items():
        for command in ("run", "report"):
            (said,) = tried(whole, tmp_path, name, "garbage", command)
            assert words in said, f"{name}, {command}: {said}"


def test_a_look_at_the_folder_lists_what_is_damaged_and_nothing_else(
    whole: Path, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    shutil.copytree(whole, work)
    assert run_cli("doctor", work).code == 0
    picture = next(name for name in kinds(whole) if "mask-stage/D/samples" in name)
    # A result that cannot be read says nothing of its files.
    lone = [f"jobs/{name}" for name in REPAIRED if not name.endswith("N/result.json")]
    names = [*lone, *SAID, picture]
    for name in names:
        whole_file = name.endswith((".db", "spec.json"))
        damage(work / kinds(whole)[name], "half" if whole_file else "bit")
    answer = run_cli("doctor", work, "--json")
    assert answer.code == 3
    listed = {entry["path"] for entry in answer.json["damaged"]}
    assert listed == {str(kinds(whole)[name]) for name in names}


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("how", ["empty", "half", "garbage", "bit"])
@pytest.mark.parametrize("command", ["run", "compare", "report", "collapse"])
def test_any_file_in_any_way(whole: Path, tmp_path: Path, how: str, command: str) -> None:
    for name in kinds(whole):
        tried(whole, tmp_path, name, how, command)
