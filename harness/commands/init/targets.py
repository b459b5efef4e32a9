"""Which structures an experiment could be about, and which it is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from harness.base.errors import DataError
from harness.base.text import first_of, meant
from harness.commands.init.look import Looked, Person, shown
from harness.config.load import parse_experiment
from harness.config.yaml_text import write_yaml
from harness.data.dicom.names import is_named
from harness.data.dicom.usual_names import USUAL_NAMES
from harness.data.roles import ROLES
from harness.data.sources.volumes.folders import LABEL_MAP

FAVOURITE = "parotid"
NEVER_ALONE = "body"
"""Nobody's target: everyone has it, and it fills every frame."""
SHOWN = 30
SIDES = {"left": "left|lt|l|li|links|sin", "right": "right|rt|r|re|rechts|dex"}
_GAP = r"[\s_\-.]"


@dataclass(frozen=True)
class Target:
    """One structure, or the left and the right one of a pair.

    Attributes:
        structures: their names in the experiment.
        people: who has at least one.
        patterns: regular expressions of those that have no usual names.
        labels: their values in a label map, where they are in one.
    """

    structures: tuple[str, ...]
    people: tuple[Person, ...]
    patterns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    labels: Mapping[str, int] = field(default_factory=dict)

    @property
    def words(self) -> str:
        return " + ".join(self.structures)

    @property
    def names(self) -> dict[str, int]:
        """Names of the regions that are these structures, and how many patients have each."""
        found: dict[str, int] = {}
        for name in (name for person in self.people for name in sorted(person.names)):
            if any(is_named(name, structure, self.patterns) for structure in self.structures):
                found[name] = found.get(name, 0) + 1
        return found


def offers(looked: Looked) -> list[Target]:
    """Every pair and single structure of known name, those of most patients first."""
    pairs: dict[str, list[str]] = {}
    for structure in USUAL_NAMES:
        if any(structure in person.structures for person in looked.people):
            pairs.setdefault(re.sub("_(left|right)$", "", structure), []).append(structure)
    found = [_target(looked, structures, {}) for structures in pairs.values()]
    return sorted(found, key=lambda target: -len(target.people))


def _target(
    looked: Looked, structures: Sequence[str], patterns: Mapping[str, tuple[str, ...]]
) -> Target:
    having = (p for p in looked.people if any(p.has(s, patterns) for s in structures))
    return Target(tuple(structures), tuple(having), patterns)


def choose_target(looked: Looked, asked: str | None) -> Target:
    """The structures of the experiment.

    Args:
        asked: names of structures or regions, with commas between them; `STRUCTURE=REGION` gives a
            region its structure. None takes the known ones that most patients have, or the
            parotids where at least half as many have them; those that too few patients for an
            experiment have only where nothing else is there.

    Raises:
        ConfigError: what is asked for is more than an experiment holds.
        DataError: nobody has a structure, or none is known.
    """
    if asked is not None:
        return _asked(looked, asked)
    known = [target for target in offers(looked) if target.structures != (NEVER_ALONE,)]
    if not known:
        names = [name for name, _ in looked.names]
        maps = any(LABEL_MAP.fullmatch(name) for name in names)
        raise DataError(
            "a structure must be chosen where no name is a usual one (docs/own-data.md), but got "
            f"{listed(names)}; name one with --structures"
            + ", those in a label map by their values: parotid_left=1,parotid_right=2"
            * maps
        )
    known = [target for target in known if len(target.people) >= len(ROLES)] or known
    favourite = [target for target in known if target.structures[0].startswith(FAVOURITE)]
    if favourite and 2 * len(favourite[0].people) >= len(known[0].people):
        return favourite[0]
    return known[0]


def _asked(looked: Looked, asked: str) -> Target:
    names = [name for name, _ in looked.names]
    words = [asked] if asked in names else [word.strip() for word in asked.split(",")]
    if values := _values(words, looked):
        _check(list(values))
        return Target(tuple(values), looked.people, {}, values)
    patterns: dict[str, tuple[str, ...]] = {}
    for word in words:
        for structure, own in _resolved(word, looked):
            patterns[structure] = (*patterns.get(structure, ()), *own)
    structures = list(patterns)
    patterns = {name: own for name, own in patterns.items() if own}
    for structure in structures:
        if not any(person.has(structure, patterns) for person in looked.people):
            raise _nobody(structure, looked)
    _check(structures)
    return _target(looked, structures, patterns)


def _check(structures: list[str]) -> None:
    """Refuse more than a pair, in the words of the experiment."""
    tree = {"name": "x", "data": {"structures": structures}}
    parse_experiment(write_yaml(tree), "--structures")


def _values(words: Sequence[str], looked: Looked) -> dict[str, int]:
    """Values of structures in label maps, where all words give one; {} elsewhere."""
    parts = [word.partition("=") for word in words]
    maps = looked.source == "images" and all(
        len(person.names) == 1 or any(map(LABEL_MAP.fullmatch, person.names))
        for person in looked.people
    )
    if not maps or not all(re.fullmatch(r"0*[1-9]\d*", value.strip()) for _, _, value in parts):
        return {}
    return {_side(name.strip()): int(value) for name, _, value in parts}


def _resolved(word: str, looked: Looked) -> list[tuple[str, tuple[str, ...]]]:
    """Structures that a word of `--structures` means, each with patterns if its name is no usual
    one."""
    names = {name.casefold(): name for name, _ in looked.names}
    names |= {name: name for name, _ in looked.names}
    if word in USUAL_NAMES:
        return [(word, ())]
    if f"{word}_left" in USUAL_NAMES:
        sides = [f"{word}_left", f"{word}_right"]
        there = [side for side in sides if any(side in p.structures for p in looked.people)]
        return [(side, ()) for side in there or sides]
    structure, _, region = word.partition("=")
    name = names.get(word) or names.get(word.casefold())
    if name is None and region.strip() in names:
        return [(_side(structure), _exactly(region.strip()))]
    if name is None:
        return [(word, ())]
    usual = next((known for known in USUAL_NAMES if is_named(name, known, {})), None)
    return [(usual, ())] if usual else [(_side(name), _exactly(name))]


def _exactly(name: str) -> tuple[str, ...]:
    return ("^" + re.escape(name).replace("\\ ", " ") + "$",)


def _side(name: str) -> str:
    """A region's name as one of a structure, which is also one of files: `STEM_left` where it says
    the side."""
    for side, words in SIDES.items():
        match = re.fullmatch(rf"(?i)(?:({words}){_GAP}+)?(.+?)(?:{_GAP}+({words}))?", name)
        if match and (match[1] or match[3]):
            return f"{_plain(match[2])}_{side}"
    return _plain(name)


def _plain(name: str) -> str:
    return re.sub(r"\W+", "_", name).strip("_").lower() or "structure"


def _nobody(structure: str, looked: Looked) -> DataError:
    names = [name for name, _ in looked.names]
    known = [name for target in offers(looked) for name in target.structures]
    return DataError(
        f"--structures must name what patients have, but nobody has '{structure}'"
        f"{meant(structure, [*names, *known])}; known are {', '.join(known) or 'none'}; names "
        f"there are {listed(names)}"
    )


def listed(names: Sequence[str]) -> str:
    """Names as they are written, the first ones."""
    return first_of([f"'{shown(name)}'" for name in names], SHOWN)
