"""Stores on disk: what is written is what is read, and what the crops of a frame are."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.base.errors import DataError
from harness.data.pairs.placement import Placement
from harness.data.pairs.store import LoadedScan, PairRow, Store, crop_text, write_scan, write_store

FRAME, MASK, COUNT = 12, 6, 5
META = {
    "kind": "real",
    "channels": ["parotid", "mandible"],
    "frame_px": FRAME,
    "mask_px": MASK,
    "patients": [
        {"patient": "a", "digest": "d0", "role": "train"},
        {"patient": "b", "digest": "d1", "role": "validation"},
        {"patient": "c", "digest": "d2", "role": "test"},
    ],
}


def row(pair: int, role: str = "train", structure_px: int = 3, selected: bool = True) -> PairRow:
    crop = crop_text(Placement((10.25, 20.1239), (1, 2)))
    return PairRow(
        pair, "a, 'b'", "d0", role, "parotid_left", "left", 7, 21.5, True, structure_px, selected,
        crop
    )  # fmt: skip


ROWS = [
    row(0),
    row(1, structure_px=0),
    row(2, "validation"),
    row(3, "validation", 0, False),
    row(4, "validation", 9, False),
]


def arrays() -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    random = np.random.default_rng(0)
    ct = random.uniform(-1, 1, (COUNT, 1, FRAME, FRAME)).astype(np.float32)
    return ct, random.integers(0, 2, (COUNT, 2, FRAME, FRAME)).astype(np.uint8)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    write_store(tmp_path / "store", *arrays(), ROWS, META)
    return Store.open(tmp_path / "store")


def test_what_is_written_is_read(store: Store) -> None:
    ct, masks = arrays()
    assert np.array_equal(store.ct, ct)
    assert np.array_equal(store.masks, masks)
    assert store.rows == tuple(ROWS)
    assert store.channels == ["parotid", "mandible"]
    assert store.meta == {**META, "version": 1}


def test_the_index_opens_in_any_reader(store: Store) -> None:
    with open(store.folder / "index.csv", newline="") as file:
        found = list(csv.DictReader(file))
    lower = [
        {n: str(v).lower() if isinstance(v, bool) else str(v) for n, v in asdict(r).items()}
        for r in ROWS
    ]
    assert found == lower
    assert json.loads(found[0]["crop"]) == {"centre": [10.25, 20.124]}


def test_synthetic_rows_come_back(tmp_path: Path) -> None:
    rows = [PairRow.synthetic(pair, 40 + pair) for pair in range(COUNT)]
    write_store(tmp_path, *arrays(), rows, META)
    assert Store.open(tmp_path).rows == tuple(rows)
    assert rows[2].structure_px == 42
    assert not rows[2].patient


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, [0, 1, 2, 3, 4]),
        ({"role": "train"}, [0, 1]),
        ({"role": "validation", "selected": True}, [2]),
        ({"with_structure": True}, [0, 2, 4]),
        ({"role": "validation", "with_structure": False}, [3]),
        ({"selected": False, "with_structure": True}, [4]),
        ({"role": "test"}, []),
    ],
)
def test_rows_by_what_they_are(store: Store, asked: dict[str, Any], expected: list[int]) -> None:
    found = store.select(**asked)
    assert (found.tolist(), found.dtype) == (expected, np.intp)


def test_crops_are_the_middle_of_the_frame(store: Store) -> None:
    ct, masks = arrays()
    rows = np.array([4, 1])
    assert np.array_equal(store.ct_crops(rows), ct[[4, 1], :, 3:9, 3:9])
    assert np.array_equal(store.mask_crops(rows), masks[[4, 1], :, 3:9, 3:9])


def test_masks_are_padded_into_the_frame_not_resized(store: Store) -> None:
    _, masks = arrays()
    found = store.padded_masks(np.array([2, 0]))
    assert found.shape == (2, 2, FRAME, FRAME)
    assert np.array_equal(found[..., 3:9, 3:9], masks[[2, 0]][..., 3:9, 3:9])
    found[..., 3:9, 3:9] = 0
    assert not found.any()


def test_a_crop_as_large_as_the_frame(tmp_path: Path) -> None:
    ct, masks = arrays()
    write_store(tmp_path, ct, masks, ROWS, {**META, "mask_px": FRAME})
    store = Store.open(tmp_path)
    assert np.array_equal(store.ct_crops(np.arange(COUNT)), ct)
    assert np.array_equal(store.padded_masks(np.arange(COUNT)), masks)


def test_kept_scans(store: Store) -> None:
    random = np.random.default_rng(1)
    scan = LoadedScan(
        random.integers(-1000, 1000, (3, 8, 9)).astype(np.int16),
        {"right": random.random((3, 8, 9)) < 0.5, "left": random.random((3, 8, 9)) < 0.5},
        np.diag([3.0, 1.5, 1.25, 1.0]),
        {"left": Placement((4.25, 3.0), (0, 2)), "right": Placement((4.0, 5.5), (1, 2))},
    )
    write_scan(store.folder / "scans" / "d2", scan)
    assert store.scans("train") == []
    assert [record.patient for record in store.scans("validation")] == ["b"]
    [record] = store.scans("test")
    assert (record.patient, record.digest, record.role) == ("c", "d2", "test")
    loaded = record.load()
    assert np.array_equal(loaded.hu, scan.hu)
    assert np.array_equal(loaded.affine, scan.affine)
    assert loaded.placements == scan.placements
    assert set(loaded.masks) == {"left", "right"}
    for name, mask in scan.masks.items():
        assert loaded.masks[name].dtype == np.bool_
        assert np.array_equal(loaded.masks[name], mask)


def test_unequal_lengths_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        write_store(tmp_path / "store", *arrays(), ROWS[:-1], META)
    assert str(caught.value) == (
        "a store needs as many images as masks and rows, but got 5, 5 and 4"
    )
    assert not (tmp_path / "store").exists()


def test_no_store_and_a_newer_store_are_one_sentence(tmp_path: Path, store: Store) -> None:
    with pytest.raises(DataError, match="but the folder given has none") as caught:
        Store.open(tmp_path / "none")
    assert str(tmp_path) not in str(caught.value)
    (store.folder / "meta.json").write_text(json.dumps({**META, "version": 2}))
    with pytest.raises(DataError) as caught:
        Store.open(store.folder)
    assert str(caught.value) == (
        "a store must have format version 1 or older, but got 2; update harness"
    )


def test_a_half_written_store_is_none(tmp_path: Path) -> None:
    """`meta.json` comes last."""
    write_store(tmp_path, *arrays(), ROWS, META)
    times = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert max(times, key=times.__getitem__) == "meta.json"
