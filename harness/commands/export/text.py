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
    text = [
        f"imagesTr: {counted(cases['train'], 'pair')} of "
        f"{counted(patients['train'], 'training patient')}{_and_generated(found)}",
        f"imagesTs: {counted(cases['validation'], 'pair')} of "
        f"{counted(patients['validation'], 'validation patient')}, with labelsTs",
    ]
    if patients["test"]:
        text.append(
            f"imagesTest: {counted(cases['test'], 'pair')} of "
            f"{counted(patients['test'], 'test patient')}, with labelsTest"
        )
    else:
        text.append(
            "test patients: none, they are for the comparison (--test, once it evaluated on them)"
        )
    low, high = found["window_hu"]
    text.append(
        f"values: HU within {low:g} to {high:g}, float32; labels: "
        + ", ".join(f"{number} {name}" for name, number in found["labels"].items())
    )
    return text + _generated_lines(found)


def _and_generated(found: Mapping[str, Any]) -> str:
    generated = found["generated"]
    if generated is None:
        return ""
    of = "" if generated["replicate"] is None else f" of replicate {generated['replicate']}"
    return f", and all {counted(found['cases']['generated'], generated['name'] + ' pair')}{of}"


def _generated_lines(found: Mapping[str, Any]) -> list[str]:
    """The arm's share of generated pairs, which nnU-Net cannot be told."""
    generated = found["generated"]
    if generated is None:
        return []
    shares = generated["share_of_cases"]
    low, high = percent(min(shares)), percent(max(shares))
    return [
        f"{generated['name']} pairs: {low if low == high else f'{low} to {high}'} of each fold's "
        f"training cases, which nnU-Net draws evenly; the arm's own segmenter has "
        f"{percent(generated['share_of_batches'])} of its batches from them"
    ]


def warnings(found: Mapping[str, Any]) -> list[str]:
    """What a reader of nnU-Net's results must know."""
    text = []
    generated = found["generated"]
    if generated is not None and generated["replicate"] is not None:
        text.append(
            f"{generated['name']} pairs were learnt from all training patients, those of the "
            "held-out fold too: nnU-Net's cross-validation flatters such a dataset; judge it on "
            "imagesTs"
        )
    if found["legacy_scaling"]:
        text.append(
            "data.legacy_scaling stretched every slice to its own range: values are on the scale "
            "of the window but are no HU"
        )
    if found["overlapping_pixels"]:
        text.append(
            f"{counted(found['overlapping_pixels'], 'pixel')} had more than one label; the lower "
            "one was kept"
        )
    return text


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
