"""How organs at risk are written: AAPM TG-263 and what clinics write beside it."""

from __future__ import annotations

import pytest

from harness.data.dicom.names import is_named
from harness.data.dicom.usual_names import USUAL_NAMES

WRITTEN = {
    "parotid_left": ("Parotid_L", "Lt Parotid", "Glnd_Parotid_L", "PAROTID LEFT"),
    "submandibular_left": ("Glnd_Submand_L", "Submandibular L", "LT SUBMANDIBULAR", "SMG_L"),
    "submandibular_right": ("Glnd_Submand_R", "Rt Submandibular Gland", "R_Submand"),
    "mandible": ("Bone_Mandible", "Mandible", "MANDIBULA", "jaw"),
    "brainstem": ("Brainstem", "BRAIN STEM", "Brain_Stem"),
    "spinal_cord": ("SpinalCord", "Spinal Cord", "spinal_cord", "CORD", "Myelon"),
    "cochlea_left": ("Cochlea_L", "Lt Cochlea"),
    "eye_right": ("Eye_R", "R Eye", "Eyeball_R"),
    "lens_left": ("Lens_L", "LT LENS"),
    "optic_nerve_left": ("OpticNrv_L", "Optic Nerve L", "ON_L"),
    "optic_chiasm": ("OpticChiasm", "Chiasm", "Chiasma"),
    "larynx": ("Larynx",),
    "esophagus": ("Esophagus", "OESOPHAGUS"),
    "oral_cavity": ("Cavity_Oral", "Oral Cavity"),
    "thyroid": ("Glnd_Thyroid", "Thyroid"),
    "brain": ("Brain",),
    "body": ("BODY", "External", "Skin", "Patient"),
}
OTHER = (
    "SpinalCord_PRV", "PRV Cord", "Cord+5mm", "zCord", "Brainstem_Core", "Brain-PTV", "Lens",
    "OpticNrv", "Submandibular", "Larynx-PTV", "opt Mandible", "Recorder", "Discord", "Mandible_L",
)  # fmt: skip


@pytest.mark.parametrize(
    ("structure", "name"), [(s, name) for s, names in WRITTEN.items() for name in names]
)
def test_a_usual_name_is_one_structure(structure: str, name: str) -> None:
    assert [s for s in USUAL_NAMES if is_named(name, s, {})] == [structure]


@pytest.mark.parametrize("name", OTHER)
def test_margins_parts_and_others_are_none(name: str) -> None:
    assert [s for s in USUAL_NAMES if is_named(name, s, {})] == []


def test_patterns_of_the_experiment_come_first() -> None:
    assert not is_named("SpinalCord", "spinal_cord", {"spinal_cord": ("^Myelon$",)})
    assert is_named("Myelon", "spinal_cord", {"spinal_cord": ("^Myelon$",)})
