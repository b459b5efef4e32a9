"""How planning systems and clinics name organs at risk, from the head to the pelvis.

Names of AAPM TG-263 (`Glnd_Submand_L`) and what is met beside them ("Lt Submandibular", "Cord").
Margins ("_PRV", "+3mm"), parts and helpers ("z...", "opt...") match nothing: an expression takes
the whole name.
"""

from __future__ import annotations

import re

_GAP = r"[\s_\-.]*"
_SIDES = {"left": ("left|lt|l", "left|lt|l|sin"), "right": ("right|rt|r", "right|rt|r|dex")}
_GLAND = rf"(gla?nds?{_GAP})?"


def _head(stem: str, bone: str) -> str:
    """The head of a long bone: `Femur_Head`, `FemoralHead`, `Fem Head`, `Caput femoris`."""
    named = rf"({stem}(oral|eral|al|oris|eri)?|{bone})"
    return rf"({named}{_GAP}heads?|(head|caput){_GAP}{named})"


def _both(stem: str) -> str:
    all_of = "(both|total|bilat(eral)?)"
    return rf"({stem}s|{stem}s?{_GAP}{all_of}|{all_of}{_GAP}{stem}s?)"


_PAIRED = {
    "parotid": rf"{_GLAND}(parotids?|par){_GAP}(gla?nds?)?",
    "submandibular": rf"{_GLAND}(submandibular(is)?|submandib|submand|smg){_GAP}(gla?nds?)?",
    "cochlea": "cochleae?",
    "eye": "(eye(ball)?|globe|orbit)s?",
    "lens": "lens(es)?",
    "optic_nerve": rf"(optic{_GAP}(nerve|nrv|n)|opticnrv|on)s?",
    "carotid": rf"(a{_GAP})?carotid({_GAP}artery)?",
    "tmj": rf"(joint{_GAP})?(tmj|tm)({_GAP}joint)?",
    "lacrimal": rf"{_GLAND}lacrimal{_GAP}(gla?nds?)?",
    "hippocampus": "hippocampus",
    "brachial_plexus": rf"(brachial{_GAP}plex(us)?|plexus{_GAP}brachial(is)?)",
    "humeral_head": _head("humer", "humerus"),
    "lung": "lungs?",
    "bronchus": rf"(main{_GAP})?bronchus",
    "breast": "(breast|mamma)s?",
    "kidney": "(kidney|ren)s?",
    "adrenal": rf"{_GLAND}(adrenal|suprarenal){_GAP}(gla?nds?)?",
    "ovary": "(ovary|ovarium)",
    "testis": "(testis|testicle)",
    "femoral_head": _head("fem", "femur"),
    "femur": rf"(bone{_GAP})?femur",
}
_SINGLE = {
    "mandible": rf"(bone{_GAP})?(mandib(le|ula)|jaw)",
    "brainstem": rf"brain{_GAP}stem|bs",
    "spinal_cord": rf"(spinal{_GAP}cord|spinal{_GAP}c|spine{_GAP}cord|cord|myelon|medulla)",
    "brain": "brain|cerebrum",
    "larynx": "larynx",
    "esophagus": "(o?esophagus|esoph)s?",
    "oral_cavity": rf"(cavity{_GAP}oral|oral{_GAP}cav(ity)?|oc)",
    "thyroid": rf"{_GLAND}thyroid{_GAP}(gla?nd)?",
    "optic_chiasm": rf"(optic{_GAP})?chiasma?(tis)?",
    "lips": "lips?",
    "pharynx": rf"(pharynx|musc{_GAP}constrict|pharyn(x|geal){_GAP}const(rictors?)?|pcm)s?",
    "pituitary": rf"(pituitary({_GAP}gla?nd)?|hypophysis)",
    "lungs": _both("lung"),
    "heart": "heart",
    "trachea": "trachea",
    "carina": "carina",
    "aorta": rf"(a{_GAP})?aorta",
    "pulmonary_artery": rf"(a{_GAP}pulmonary|pulmonary{_GAP}artery)",
    "superior_vena_cava": rf"(v{_GAP}vena{_GAP}cava{_GAP}s|svc|(superior{_GAP})vena{_GAP}cava)",
    "inferior_vena_cava": rf"(v{_GAP}vena{_GAP}cava{_GAP}i|ivc|(inferior{_GAP})vena{_GAP}cava)",
    "lad": rf"(a{_GAP})?(lad|left{_GAP}anterior{_GAP}descending)({_GAP}artery)?",
    "chest_wall": rf"(chest|thoracic){_GAP}wall",
    "liver": "(liver|hepar)",
    "gallbladder": rf"gall{_GAP}bladder",
    "kidneys": _both("kidney"),
    "spleen": "(spleen|lien)",
    "stomach": "stomach",
    "duodenum": "duodenum",
    "pancreas": "pancreas",
    "bowel": "(bowels?|intestines?)",
    "bowel_bag": rf"((bag|spc|space){_GAP}bowel|bowel{_GAP}(bag|spc|space)|peritoneal{_GAP}cavity)",
    "bowel_small": rf"(small{_GAP}(bowel|intestine)|(bowel|intestine){_GAP}small)s?",
    "bowel_large": rf"(large{_GAP}(bowel|intestine)|(bowel|intestine){_GAP}large)s?",
    "colon": "colon",
    "sigmoid": rf"((colon{_GAP})?sigmoid|sigmoid{_GAP}colon)",
    "cauda_equina": rf"cauda{_GAP}equina",
    "bladder": rf"((urinary{_GAP})?bladder|bladder{_GAP}urinary)",
    "rectum": "rectum",
    "anal_canal": rf"(canal{_GAP}anal|anal{_GAP}canal|anus)",
    "prostate": rf"{_GLAND}prostate{_GAP}(gla?nd)?",
    "seminal_vesicles": rf"(sem(inal)?{_GAP}(ves(icles?)?)|vesicula{_GAP}seminalis|sv)s?",
    "penile_bulb": rf"(penile{_GAP}bulb|bulb{_GAP}penile|bulb{_GAP}of{_GAP}penis)",
    "uterus": "uterus",
    "vagina": "vagina",
    "body": rf"(body|external|skin|patient){_GAP}(outline|contour)?",
}


def is_usual(name: str) -> bool:
    """Whether a name is usual for some structure, and so says nothing of who has it."""
    return any(re.fullmatch(e, name) for those in USUAL_NAMES.values() for e in those)


def _paired(stem: str, side: str) -> tuple[str, str]:
    before, after = _SIDES[side]
    return (rf"(?i)^({before}){_GAP}({stem})$", rf"(?i)^({stem}){_GAP}({after})$")


USUAL_NAMES: dict[str, tuple[str, ...]] = {
    f"{name}_{side}": _paired(stem, side) for name, stem in _PAIRED.items() for side in _SIDES
} | {name: (rf"(?i)^({stem})$",) for name, stem in _SINGLE.items()}
"""Regular expressions of each structure's usual names, for `data.patterns` that say nothing."""
