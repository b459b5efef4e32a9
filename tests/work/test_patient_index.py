"""Looking at patients: each one once while its files stay as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from factories.dicom import placed

from harness.base.errors import DataError
from harness.config.data import DataConfig
from harness.data.dicom.other_names import quoted
from harness.data.scan import Excluded, Reference, Scan
from harness.work.prepare.patient_index import PatientIndex, index_patients, recorded_index
from harness.work.prepare.sources import other_names

SHAPE = (6, 24, 24)


@dataclass
class Drawn:
    """A source of drawn patients that writes down whom it read."""

    references: Sequence[Reference]
    read_ones: list[str] = field(default_factory=list)

    def patients(self) -> Sequence[Reference]:
        return self.references

    def read(self, reference: Reference) -> Scan | Excluded:
        self.read_ones.append(reference.patient)
        if reference.location is None:
            return Excluded(reference.patient, "nothing is there")
        if reference.location < 0:
            raise KeyboardInterrupt
        hu = np.full(SHAPE, -1000, np.int16)
        hu[:, 3:-3, 3:-3] = reference.location
        mask = np.zeros(SHAPE, bool)
        mask[2:4, 10:14, 15:19] = True
        affine = placed(SHAPE, (3.0, 6.0, 6.0))
        return Scan(reference.patient, hu, {"structure": mask}, affine, reference.role, ("a note",))


def reference(patient: str, value: int | None, role: str | None = None) -> Reference:
    return Reference(patient, value, f"{patient} as of today", role)


THREE = (reference("a", 10, "train"), reference("b", None), reference("c", 30))
CONFIG = DataConfig(source="dicom", root="somewhere", structures=("structure",))


def look(source: Drawn, work: Path, config: DataConfig = CONFIG) -> PatientIndex:
    return index_patients(source, config, work, lambda done, of: None)


def test_what_a_look_knows(tmp_path: Path) -> None:
    source = Drawn(THREE)
    seen: list[tuple[int, int]] = []
    found = index_patients(source, CONFIG, tmp_path, lambda done, of: seen.append((done, of)))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert found.excluded == (Excluded("b", "nothing is there"),)
    first, second = found.usable
    assert (first.patient, first.role, first.notes) == ("a", "train", ("a note",))
    assert (first.structures, second.role) == (("structure",), None)
    scan = source.read(THREE[0])
    assert isinstance(scan, Scan)
    assert first.digest == scan.content_digest() != second.digest
    assert Path(first.file).is_file()


def test_a_copy_under_another_name_is_excluded(tmp_path: Path) -> None:
    found = look(Drawn((*THREE, reference("d", 10, "test"))), tmp_path)
    assert [entry.patient for entry in found.usable] == ["a", "c"]
    assert found.excluded[-1] == Excluded(
        "d", "it holds the same scan with the same contours as a, which is kept"
    )


def excluding(**named: str) -> DataConfig:
    return CONFIG.model_copy(update={"exclude": named})


def test_who_is_named_is_left_out_with_the_reason_given(tmp_path: Path) -> None:
    config = excluding(a="the contours lie a level too low", b="not wanted either")
    record, four = tmp_path / "record.json", Drawn((*THREE, reference("d", 10, "test")))
    found = index_patients(four, config, tmp_path, lambda done, of: None, record=record)
    assert [entry.patient for entry in found.usable] == ["c", "d"], "d is no copy now"
    assert found.excluded == (
        Excluded("a", "the contours lie a level too low"),
        Excluded("b", "not wanted either"),
    )
    assert recorded_index(record, tmp_path) == found
    assert look(four, tmp_path).usable[0].patient == "a", "asked without, nobody is out"


def test_nobody_is_left_out_who_is_not_there(tmp_path: Path) -> None:
    source = Drawn((reference("pt_221", 10), reference("pt_3", 30)))
    with pytest.raises(DataError) as caught:
        look(source, tmp_path, excluding(pt_212="why"))
    assert str(caught.value) == (
        "data.exclude must name patients of the source, but got 'pt_212'; did you mean 'pt_221'?"
    )
    assert source.read_ones == []


def test_nobody_is_read_twice(tmp_path: Path) -> None:
    first = look(Drawn(THREE), tmp_path)
    again = Drawn(THREE)
    assert look(again, tmp_path) == first
    assert again.read_ones == []


def test_who_changed_is_read_again(tmp_path: Path) -> None:
    look(Drawn(THREE), tmp_path)
    changed = replace(reference("c", 31), signature="c since yesterday")
    source = Drawn((reference("new", 5), THREE[0], THREE[1], changed))
    found = look(source, tmp_path)
    assert source.read_ones == ["new", "c"]
    assert [one.patient for one in found.usable] == ["new", "a", "c"]


@pytest.mark.parametrize(
    "other",
    [
        {"structures": ("structure", "mandible")},
        {"patterns": {"structure": ("^g$",)}},
        {"source": "images"},
    ],
)
def test_other_wishes_are_looked_at_anew(tmp_path: Path, other: dict[str, object]) -> None:
    look(Drawn(THREE), tmp_path)
    source = Drawn(THREE)
    look(source, tmp_path, CONFIG.model_copy(update=other))
    assert source.read_ones == ["a", "b", "c"]


def test_what_does_not_matter_to_reading_reads_nobody(tmp_path: Path) -> None:
    look(Drawn(THREE), tmp_path)
    source = Drawn(THREE)
    look(source, tmp_path, CONFIG.model_copy(update={"spacing_mm": 2.0, "root": "elsewhere"}))
    assert source.read_ones == []


def test_an_interrupted_look_goes_on_where_it_was(tmp_path: Path) -> None:
    source = Drawn((*THREE[:2], reference("stop", -1), THREE[2]))
    with pytest.raises(KeyboardInterrupt):
        look(source, tmp_path)
    again = Drawn(THREE)
    look(again, tmp_path)
    assert again.read_ones == ["c"]


def test_a_look_keeps_no_place(tmp_path: Path) -> None:
    """What `read` needs stays inside the source."""

    class Place(int):
        def __str__(self) -> str:
            raise AssertionError("never written")

        __repr__ = __str__

    place = Place(77)
    found = look(Drawn((Reference("a", place, "as of today"),)), tmp_path)
    assert len(found.usable) == 1
    assert repr(Reference("a", place, "x")) == "Reference(patient='a', signature='x', role=None)"


class Named(Drawn):
    """Patients whose regions have names, usual and other; texts quote some."""

    def read(self, reference: Reference) -> Scan | Excluded:
        read, labels = super().read(reference), ("Cord", f"GTV Meier {reference.patient}")
        said = f"it has {', '.join(map(quoted, labels))}"
        if isinstance(read, Excluded):
            return Excluded(read.patient, said, labels)
        return replace(read, notes=(said,), labels=labels)


def test_names_of_regions_are_numbered_in_entries_whoever_the_source_is(tmp_path: Path) -> None:
    found = look(Named(THREE), tmp_path)
    entries = [*(tmp_path / "patient-index").glob("*.json")]
    assert len(entries) == 3
    assert not [path for path in entries if "Meier" in path.read_text()]
    assert [p.scan_summary.labels for p in found.usable] == [
        ("Cord", "other name 1"), ("Cord", "other name 3")
    ]  # fmt: skip
    assert found.excluded[0].reason == "it has 'Cord', 'other name 2'"
    assert found.excluded[0].labels == ("Cord", "other name 2")
    shown = found.revealed(other_names(CONFIG, tmp_path).reveal)
    assert shown.usable[0].notes == ("it has 'Cord', 'GTV Meier a'",)
    assert shown.usable[1].scan_summary.labels == ("Cord", "GTV Meier c")
    assert shown.excluded == (
        Excluded("b", "it has 'Cord', 'GTV Meier b'", ("Cord", "GTV Meier b")),
    )


def test_names_of_the_published_stay(tmp_path: Path) -> None:
    published = CONFIG.model_copy(update={"source": "phantom"})
    found = look(Named(THREE), tmp_path, published)
    assert found.usable[0].scan_summary.labels == ("Cord", "GTV Meier a")
    assert not (tmp_path / "private").exists()
