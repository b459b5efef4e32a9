"""How planning systems and clinics name organs at risk of the head and neck.

Names of AAPM TG-263 (`Glnd_Submand_L`) and what is met beside them ("Lt Submandibular", "Cord").
Margins ("_PRV", "+3mm"), parts and helpers ("z...", "opt...") match nothing: an expression takes
the whole name.
"""

from __future__ import annotations

_GAP = r"[\s_\-.]*"
_SIDES = {"left": ("left|lt|l", "left|lt|l|sin"), "right": ("right|rt|r", "right|rt|r|dex")}
_GLAND = rf"(gla?nds?{_GAP})?"

_PAIRED = {
    "parotid": rf"{_GLAND}(parotids?|par){_GAP}(gla?nds?)?",
    "submandibular": rf"{_GLAND}(submandibular(is)?|submandib|submand|smg){_GAP}(gla?nds?)?",
    "cochlea": "cochleae?",
    "eye": "(eye(ball)?|globe|orbit)s?",
    "lens": "lens(es)?",
    "optic_nerve": rf"(optic{_GAP}(nerve|nrv|n)|opticnrv|on)s?",
    "carotid": rf"(a{_GAP})?carotid({_GAP}artery)?",
    "tmj": rf"(joint{_GAP})?(tmj|tm)({_GAP}joint)?",
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
    "body": rf"(body|external|skin|patient){_GAP}(outline|contour)?",
}


def _paired(stem: str, side: str) -> tuple[str, str]:
    before, after = _SIDES[side]
    return (rf"(?i)^({before}){_GAP}({stem})$", rf"(?i)^({stem}){_GAP}({after})$")


USUAL_NAMES: dict[str, tuple[str, ...]] = {
    f"{name}_{side}": _paired(stem, side) for name, stem in _PAIRED.items() for side in _SIDES
} | {name: (rf"(?i)^({stem})$",) for name, stem in _SINGLE.items()}
"""Regular expressions of each structure's usual names, for `data.patterns` that say nothing."""
