"""Names of ROIs that are none of the usual ones and so may say who somebody is: whatever is stored
calls them "other name 1", "other name 2", ..., which the work folder's private list resolves.

Usual names, and those of structures in the experiment, stay as they are. Of a text, what stands in
quotes is taken for a name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from harness.base.errors import Damaged
from harness.base.files import locked, read_record, with_digest
from harness.data.dicom.private import PRIVATE, private_folder, write_private_json
from harness.data.dicom.usual_names import is_usual

FILE = "names.json"
_QUOTED = re.compile(r"(?<!\w)'([^']*)'")
_NUMBERED = re.compile(r"other name \d+")


def quoted(name: str) -> str:
    """A name as messages quote it: no quote in it ends it early."""
    return f"'{_plain(name)}'"


def _plain(name: str) -> str:
    return name.replace("'", "\u2019")


class OtherNames:
    """The numbers of a work folder, given in the order in which names are met.

    Args:
        private: its private folder, which holds the list.
        structures: names that the experiment says itself.
    """

    def __init__(self, private: Path, structures: Sequence[str] = ()) -> None:
        self._path = private / FILE
        self._structures = frozenset(structures)

    def hide(self, names: Sequence[str], texts: Sequence[str]) -> tuple[list[str], list[str]]:
        """Names, and texts that quote some, with numbers in the place of those that may say who
        somebody is; new ones are entered."""
        in_texts = [name for text in texts for name in _QUOTED.findall(text)]
        called = self._enter(_plain(name) for name in (*names, *in_texts))

        def hidden(match: re.Match[str]) -> str:
            return f"'{called.get(match[1], match[1])}'"

        shown = [called.get(_plain(name), name) for name in names]
        return shown, [_QUOTED.sub(hidden, text) for text in texts]

    def reveal(self, text: str) -> str:
        """A name or a text as it was written, as far as this user may read the list."""
        if not _NUMBERED.search(text):
            return text
        try:
            known = self._read()
        except PermissionError:
            return text
        return _NUMBERED.sub(lambda match: known.get(match[0], match[0]), text)

    def _enter(self, names: Iterable[str]) -> dict[str, str]:
        """What other names are called from now on."""
        others = {n for n in names if n not in self._structures and not is_usual(n)}
        if not others:
            return {}
        private_folder(self._path.parent)
        with locked(self._path, PRIVATE):
            known = self._read()
            new = sorted(others - set(known.values()))
            known |= {f"other name {n}": name for n, name in enumerate(new, len(known) + 1)}
            if new:
                write_private_json(self._path, with_digest(known))
        return {name: number for number, name in known.items() if name in others}

    def _read(self) -> dict[str, str]:
        try:
            return {name: str(of) for name, of in read_record(self._path).items()}
        except FileNotFoundError:
            return {}
        except Damaged as damaged:
            then = "bring it back from a copy, or remove it: other names are then numbered anew"
            raise Damaged(damaged.path, damaged.why, then) from damaged
