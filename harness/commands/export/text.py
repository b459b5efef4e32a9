"""What an export says: what it holds, what to mind, and the commands of nnU-Net to type next."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.base.text import counted, percent


def lines(found: Mapping[str, Any]) -> list[str]:
    """What was exported, a line each."""
    cases, patients = found["cases"], found["patients"]
    said = [
        f"imagesTr: {counted(cases['train'], 'pair')} of "
        f"{counted(patients['train'], 'training patient')}{_and_made(found)}",
        f"imagesTs: {counted(cases['validation'], 'pair')} of "
        f"{counted(patients['validation'], 'validation patient')}, with labelsTs",
    ]
    if patients["test"]:
        said.append(
            f"imagesTest: {counted(cases['test'], 'pair')} of "
            f"{counted(patients['test'], 'test patient')}, with labelsTest"
        )
    else:
        said.append("test patients: none, as the test is for the comparison (--test, once opened)")
    low, high = found["window_hu"]
    said.append(
        f"values: HU within {low:g} to {high:g}, float32; labels: "
        + ", ".join(f"{number} {name}" for name, number in found["labels"].items())
    )
    return said + _made_lines(found)


def _and_made(found: Mapping[str, Any]) -> str:
    made = found["made"]
    if made is None:
        return ""
    of = "" if made["replicate"] is None else f" of replicate {made['replicate']}"
    return f", and all {counted(found['cases']['made'], made['word'] + ' pair')}{of}"


def _made_lines(found: Mapping[str, Any]) -> list[str]:
    """The arm's share of made pairs, which nnU-Net cannot be told."""
    made = found["made"]
    if made is None:
        return []
    shares = made["share_of_cases"]
    low, high = percent(min(shares)), percent(max(shares))
    return [
        f"{made['word']} pairs: {low if low == high else f'{low} to {high}'} of each fold's "
        f"training cases, which nnU-Net draws evenly; the arm's own segmenter has "
        f"{percent(made['share_of_batches'])} of its batches from them"
    ]


def warnings(found: Mapping[str, Any]) -> list[str]:
    """What a reader of nnU-Net's results must know."""
    said = []
    made = found["made"]
    if made is not None and made["word"] != "fresh":
        said.append(
            f"{made['word']} pairs were learnt from all training patients, those of the fold that "
            "is held out too: nnU-Net's cross-validation flatters such a dataset; judge it on "
            "imagesTs"
        )
    if found["legacy_scaling"]:
        said.append(
            "data.legacy_scaling stretched every slice to its own range: values are on the scale "
            "of the window but are no HU"
        )
    if found["overlapping_pixels"]:
        said.append(
            f"{counted(found['overlapping_pixels'], 'pixel')} had more than one label; the lower "
            "one was kept"
        )
    return said


def commands(found: Mapping[str, Any]) -> list[str]:
    """What to type next."""
    place = Path(found["dataset"]).resolve()
    number = found["id"]
    splits = shlex.quote(str(place / "splits_final.json"))
    return [
        f"export nnUNet_raw={shlex.quote(str(place.parent))}  # and nnUNet_preprocessed, "
        "nnUNet_results",
        f"nnUNetv2_plan_and_preprocess -d {number} -c 2d --verify_dataset_integrity",
        f'cp {splits} "$nnUNet_preprocessed/{found["name"]}/"',
        f"nnUNetv2_train {number} 2d 0",
    ]
