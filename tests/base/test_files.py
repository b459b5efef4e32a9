"""Atomic files, and digests that follow content only."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.base import files

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_a_file_appears_whole_and_only_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.bin"
    with files.atomic(path) as file:
        file.write(b"half")
        assert not path.exists()
        file.write(b"whole")
    assert path.read_bytes() == b"halfwhole"
    assert names(path.parent) == ["a.bin"]


def test_an_interrupted_write_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    files.write_text(path, "old")

    def interrupted() -> None:
        with files.atomic(path) as file:
            file.write(b"new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_write_with_keeps_the_ending_and_cleans_up_after_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    seen: list[str] = []

    def writer(target: Path) -> None:
        seen.append(target.suffix)
        target.write_bytes(b"pixels")

    files.write_with(path, writer)
    assert (seen, path.read_bytes()) == ([".png"], b"pixels")

    def failing(target: Path) -> None:
        target.write_bytes(b"half")
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        files.write_with(path, failing)
    assert (names(tmp_path), path.read_bytes()) == (["picture.png"], b"pixels")


def test_permissions_follow_the_umask_of_the_user(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from harness.base.files import write_text; "
        "write_text(Path(sys.argv[1]), 'x')"
    )
    for mask, expected in ((0o022, 0o644), (0o077, 0o600)):
        path = tmp_path / f"{mask:o}"
        subprocess.run([sys.executable, "-c", code, str(path)], check=True, umask=mask)
        assert path.stat().st_mode & 0o777 == expected


@pytest.mark.parametrize(
    "array",
    [
        np.array(3.5),
        np.arange(12, dtype=np.int16).reshape(3, 4)[:, ::2],
        np.asfortranarray(np.eye(3, dtype=">f4")),
        np.zeros((0, 5), bool),
    ],
)
def test_arrays_come_back_with_shape_type_and_values(array: np.ndarray, tmp_path: Path) -> None:
    files.write_array(tmp_path / "a.npy", array)
    back = np.load(tmp_path / "a.npy", allow_pickle=False)
    assert (back.shape, back.dtype) == (array.shape, array.dtype)
    np.testing.assert_array_equal(back, array)


def test_no_pickle_is_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        files.write_array(tmp_path / "a.npy", np.array([{}], object))
    assert names(tmp_path) == []


def test_json_refuses_nan_and_keeps_every_sign(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    files.write_json(path, {"grösse": [1.5, None]})
    assert files.read_json(path) == {"grösse": [1.5, None]}
    assert "grösse" in path.read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(path, {"a": float("nan")})
    assert files.read_json(path) == {"grösse": [1.5, None]}


def test_sha256_agrees_with_coreutils(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(os.urandom((1 << 20) + 7))
    said = subprocess.run(["sha256sum", path], check=True, capture_output=True, text=True).stdout
    assert files.sha256_file(path) == said.split()[0]


@given(PLAIN)
def test_canonical_json_is_a_form_that_reads_back(value: object) -> None:
    text = files.canonical_json(value)
    assert json.loads(text) == value
    assert files.canonical_json(json.loads(text)) == text


def test_the_digest_ignores_key_order_and_sees_every_value() -> None:
    assert files.digest_of({"a": 1, "b": [1, 2]}) == files.digest_of({"b": (1, 2), "a": 1})
    distinct = [{"a": 1}, {"a": 1.0}, {"a": "1"}, {"a": True}, {"a": None}, {"a": [1]}, {"b": 1}]
    assert len({files.digest_of(value) for value in distinct}) == len(distinct)
    expected = hashlib.sha256(b'{"a":1}').hexdigest()[:24]
    assert files.digest_of({"a": 1}) == expected


def test_array_digests_follow_content_not_layout() -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    same = files.digest_arrays({"b": array.copy(order="F"), "a": np.ones(2)})
    assert files.digest_arrays({"a": np.ones(2), "b": array}) == same
    changed: list[dict[str, np.ndarray]] = [
        {"a": array},
        {"b": array},
        {"a": array.T},
        {"a": array.astype(np.float64)},
        {"a": array.ravel()},
        {"a": np.nextafter(array, np.float32(9))},
        {"a": np.array(1.0)},
        {"a": np.array([1.0])},
        {"a": array[:1], "b": array[1:]},
    ]
    assert len({files.digest_arrays(arrays) for arrays in changed}) == len(changed)


def test_array_files_are_ordinary_npy(tmp_path: Path) -> None:
    array = np.arange(4.0)
    files.write_array(tmp_path / "a.npy", array)
    expected = io.BytesIO()
    np.save(expected, array)
    assert (tmp_path / "a.npy").read_bytes() == expected.getvalue()
