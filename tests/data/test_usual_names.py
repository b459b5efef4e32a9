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
    "lung_left": ("Lung_L", "Lt Lung", "LUNG LEFT", "Left Lung", "Lung-Left", "L_Lung"),
    "lung_right": ("Lung_R", "RT_LUNG", "Lung Rt"),
    "lungs": ("Lungs", "Both Lungs", "Total Lung", "Lung_Total"),
    "heart": ("Heart", "HEART"),
    "trachea": ("Trachea",),
    "aorta": ("A_Aorta", "Aorta"),
    "lad": ("A_LAD", "LAD", "LAD artery"),
    "breast_left": ("Breast_L", "Lt Breast", "L_Breast"),
    "breast_right": ("Breast_R", "Right breast", "Mamma_R"),
    "liver": ("Liver", "LIVER"),
    "kidney_left": ("Kidney_L", "Lt Kidney", "KIDNEY LT", "L Kidney"),
    "kidney_right": ("Kidney_R", "Right_Kidney"),
    "kidneys": ("Kidneys", "Both Kidneys"),
    "adrenal_left": ("Glnd_Adrenal_L", "Lt Adrenal Gland"),
    "spleen": ("Spleen",),
    "stomach": ("Stomach",),
    "duodenum": ("Duodenum",),
    "pancreas": ("Pancreas",),
    "gallbladder": ("Gallbladder", "Gall Bladder"),
    "bowel": ("Bowel", "BOWELS", "Intestine"),
    "bowel_bag": ("Bag_Bowel", "Bowel Bag", "BowelBag", "Spc_Bowel", "Bowel Space"),
    "bowel_small": ("Bowel_Small", "Small Bowel", "SmallBowel"),
    "bowel_large": ("Bowel_Large", "Large Bowel"),
    "sigmoid": ("Colon_Sigmoid", "Sigmoid", "Sigmoid colon"),
    "bladder": ("Bladder", "BLADDER", "Urinary Bladder"),
    "rectum": ("Rectum", "RECTUM"),
    "prostate": ("Prostate", "Prostate gland"),
    "seminal_vesicles": (
        "SeminalVes",
        "Seminal Vesicles",
        "SeminalVesicle",
        "SV",
        "SVs",
        "Sem Ves",
    ),
    "femoral_head_left": (
        "Femur_Head_L",
        "FemoralHead_L",
        "Femoral Head L",
        "Lt Femoral Head",
        "FemHead_L",
        "Left Femur Head",
        "Head_Femur_L",
        "Fem_Head_Lt",
    ),
    "femoral_head_right": ("Femur_Head_R", "R Fem Head", "RT FEMORAL HEAD", "Caput femoris dex"),
    "femur_left": ("Femur_L", "Lt Femur"),
    "humeral_head_left": ("Humerus_Head_L", "Lt Humeral Head"),
    "penile_bulb": ("PenileBulb", "Penile Bulb", "Bulb_Penile"),
    "anal_canal": ("Canal_Anal", "Anal Canal"),
    "brachial_plexus_right": ("BrachialPlex_R", "Rt Brachial Plexus"),
    "chest_wall": ("Chestwall", "Chest Wall"),
    "body": ("BODY", "External", "Skin", "Patient"),
}
OTHER = (
    "SpinalCord_PRV", "PRV Cord", "Cord+5mm", "zCord", "Brainstem_Core", "Brain-PTV", "Lens",
    "OpticNrv", "Submandibular", "Larynx-PTV", "opt Mandible", "Recorder", "Discord", "Mandible_L",
    "Lung", "Lungs-GTV", "Lung_L_PRV", "Kidney", "Kidney_Cortex_L", "Bladder_Wall", "RectumWall",
    "SeminalVes_Prox", "Bowel_PRV", "Heart+A_Pulm", "Femoral Heads", "Prostate_CTV", "ITV Lung L",
    "Liver-GTV", "Breast", "zLiver", "Femur", "LungLesion", "Great Vessels", "Livermore",
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
