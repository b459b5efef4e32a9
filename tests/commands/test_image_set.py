"""Sets of images as people have them: what is read, what is refused, in whole sentences."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from harness.base.errors import ConfigError, DataError
from harness.commands.score.image_files import kind_of, stem_of
from harness.commands.score.image_patients import with_patients
from harness.commands.score.image_set import ImageSet, read_images
from harness.commands.score.request import ScoreRequest, read_sets
from harness.data.pairs.store import PairRow, write_store

EDGE = 32


def grey(seed: int, edge: int = EDGE) -> NDArray[np.float64]:
    return np.random.default_rng(seed).random((edge, edge))


def save_png(path: Path, pixels: NDArray[np.integer]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def save_nifti(path: Path, values: NDArray[np.generic], slope: float = 1, inter: float = 0) -> None:
    volume = nibabel.Nifti1Image(values, np.eye(4))
    volume.header.set_slope_inter(slope, inter)
    nibabel.save(volume, path)


def refused(folder: Path, **options: object) -> str:
    """The whole sentence that refuses `folder`."""
    with pytest.raises((DataError, ConfigError)) as caught:
        read_images(folder, "real", **options)  # type: ignore[arg-type]
    sentence = str(caught.value)
    assert re.search(r" must | needs ", sentence)
    assert ", but got " in sentence
    assert "; " in sentence
    return sentence


def test_png_by_bit_depth(tmp_path: Path) -> None:
    eight = np.arange(EDGE * EDGE, dtype=np.uint8).reshape(EDGE, EDGE)
    sixteen = (np.arange(EDGE * EDGE).reshape(EDGE, EDGE) * 60).astype(np.uint16)
    save_png(tmp_path / "b" / "sixteen.png", sixteen)
    save_png(tmp_path / "eight.PNG", eight)
    save_png(tmp_path / "rgb.png", np.stack([eight] * 3, axis=-1))
    found = read_images(tmp_path, "real")
    assert found.names == ("b/sixteen.png", "eight.PNG", "rgb.png")
    assert found.stems == ("b/sixteen", "eight", "rgb")
    assert found.images.dtype == np.float32
    np.testing.assert_allclose(found.images[0], sixteen / 65535, atol=1e-7)
    np.testing.assert_allclose(found.images[1], eight / 255, atol=1e-7)
    np.testing.assert_array_equal(found.images[1], found.images[2])
    assert found.patients is None
    assert found.notes == ()


def test_stacks_and_single_arrays_under_a_window(tmp_path: Path) -> None:
    stack = np.linspace(-1000, 1000, 3 * EDGE * EDGE).reshape(3, EDGE, EDGE)
    np.save(tmp_path / "a.npy", stack)
    np.save(tmp_path / "b.npy", (stack[0] / 10).astype(np.int16))
    found = read_images(tmp_path, "real", (-500.0, 500.0))
    assert found.names == ("a.npy#0", "a.npy#1", "a.npy#2", "b.npy")
    np.testing.assert_allclose(found.images[1], np.clip((stack[1] + 500) / 1000, 0, 1), atol=1e-6)
    outside = np.concatenate([stack, (stack[:1] / 10).astype(np.int16)])
    share = 100 * (np.abs(outside) > 500).mean()
    assert found.notes == (
        f"real: {share:.1f} % of the pixels lie outside the window and are clipped",
    )


def test_values_without_a_window_must_be_in_0_to_1(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", grey(0))
    assert read_images(tmp_path, "real").notes == ()
    np.save(tmp_path / "b.npy", grey(1) * 400 - 160)
    values = np.stack([np.load(tmp_path / f"{n}.npy") for n in "ab"]).astype(np.float32)
    low, high = f"{values.min():g}", f"{values.max():g}"
    assert refused(tmp_path) == (
        f"NPY files must hold values in [0, 1] or have a window, but got {low} to {high} in "
        f"'{tmp_path}'; type --window LOW HIGH in the files' units, e.g. --window {low} {high} "
        "for all of it"
    )


def test_what_float32_leaves_beyond_1_is_no_other_unit(tmp_path: Path) -> None:
    image = grey(0).astype(np.float32)
    image[0, :2] = np.nextafter(np.float32(1), np.float32(2)), -1e-7
    np.save(tmp_path / "a.npy", image)
    found = read_images(tmp_path, "real").images
    np.testing.assert_array_equal(found[0], np.clip(image, 0, 1))
    image[0, 0] = 1.001
    np.save(tmp_path / "a.npy", image)
    assert refused(tmp_path).startswith("NPY files must hold values in [0, 1] or have a window")


@pytest.mark.parametrize("ending", ["nii", "nii.gz"])
def test_a_volume_is_slices_of_one_patient(tmp_path: Path, ending: str) -> None:
    voxels = np.random.default_rng(0).integers(0, 100, (EDGE, EDGE + 4, 3)).astype(np.int16)
    save_nifti(tmp_path / f"a.{ending}", voxels, slope=2, inter=-50)
    save_nifti(tmp_path / f"b.{ending}", voxels[..., :1].astype(np.float32))
    found = read_images(tmp_path, "real", (-50.0, 150.0))
    assert found.kind == "volume"
    assert found.images.shape == (4, EDGE + 4, EDGE)
    # Stored to the right, front and head; rows run to the back, columns to the left.
    seen = voxels[::-1, ::-1].transpose(2, 1, 0)
    np.testing.assert_allclose(found.images[2], seen[2] * 2 / 200, atol=1e-6)
    assert found.names == (*(f"a.{ending}#{i}" for i in range(3)), f"b.{ending}#0")
    assert found.patients is not None
    assert [found.patients.index(owner) for owner in found.patients] == [0, 0, 0, 3]
    assert found.notes == ("real: the slices of one volume count as one patient's",)


def test_single_slices_in_nifti_say_nothing_about_patients(tmp_path: Path) -> None:
    for name in "ab":
        save_nifti(tmp_path / f"{name}.nii", grey(0))
    found = read_images(tmp_path, "real")
    assert found.patients is None
    assert found.places == (-1, -1)
    np.testing.assert_allclose(found.images[1], grey(0), atol=1e-7)
    assert found.notes == (
        "real: volumes without geometry are read as stored, slices along the last axis",
    )


def test_a_store_knows_patients_and_roles(tmp_path: Path) -> None:
    ct = np.random.default_rng(0).uniform(-1, 1, (5, 1, EDGE, EDGE)).astype(np.float32)
    roles = ("train", "train", "validation", "test", "train")
    rows = [
        PairRow(
            i, f"p{i}", f"d{i}", role, "structure", "left", i, 0.0, False, 9 * (i < 4), True, "{}"
        )
        for i, role in enumerate(roles)
    ]
    masks = np.zeros((5, 1, EDGE, EDGE), np.uint8)
    write_store(tmp_path, ct, masks, rows, {"kind": "real"})
    found = read_images(tmp_path, "real")
    assert found.patients == ("d0", "d1", "d2")
    np.testing.assert_allclose(found.images, (ct[:3, 0] + 1) / 2, atol=1e-6)
    assert read_images(tmp_path, "held-out", None, ("validation",)).patients == ("d2",)
    synthetic = tmp_path / "synthetic"
    drawn = [PairRow.synthetic(i, 4) for i in range(5)]
    write_store(synthetic, ct, masks, drawn, {"kind": "synthetic"})
    assert len(read_images(synthetic, "synthetic")) == 5
    assert read_images(synthetic, "synthetic").patients is None


def test_other_files_are_counted_and_said(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", grey(0))
    for name in ("notes.txt", "more.txt", "list.csv", "x.jpg", "y.TIF", "old.zip", "a.seg.nrrd"):
        (tmp_path / name).write_text("x")
    assert read_images(tmp_path, "real").notes == (
        "real: left out 1 archive (old.zip): unpack what holds images",
        "real: left out 2 images of kinds that are not read (.jpg, .TIF): save each as grey PNG of "
        "8 or 16 bits, or its values with numpy.save as .npy",
        "real: left out 1 segmentation (.seg.nrrd)",
        "real: left out 3 files that are no images (.txt, .csv)",
    )


def test_a_flat_set_is_doubted(tmp_path: Path) -> None:
    save_png(tmp_path / "a.png", (grey(0) * 4095).astype(np.uint16))
    (note,) = read_images(tmp_path, "real").notes
    assert note.startswith("the real images span only ")
    assert note.endswith(" of 0 to 1: is their window or bit depth right?")


def test_what_is_no_set_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path / "none") == (
        f"the real images must be in an existing folder, but got '{tmp_path / 'none'}'; "
        "check the path"
    )
    assert "but got an empty folder in" in refused(tmp_path)
    (tmp_path / "a.jpg").write_text("x")
    assert "but got 1 image of a kind that is not read (.jpg) in " in refused(tmp_path)
    np.save(tmp_path / "a.npy", grey(0))
    save_png(tmp_path / "a.png", np.zeros((EDGE, EDGE), np.uint8))
    assert refused(tmp_path) == (
        f"a set must be files of one kind, but got 1 NPY and 1 PNG in '{tmp_path}'; "
        "keep each kind in a folder of its own"
    )


def test_sizes(tmp_path: Path) -> None:
    for edge in (40, 31):
        (tmp_path / str(edge)).mkdir()
        np.save(tmp_path / str(edge) / "a.npy", grey(0, edge))
    assert refused(tmp_path / "31") == (
        "images must have edges of 32 px or more, but got 31 x 31 in "
        f"'{tmp_path / '31' / 'a.npy'}'; use larger images (a stack is n x H x W)"
    )
    assert "but got 31 x 31 in" in refused(tmp_path)
    (tmp_path / "48").mkdir()
    np.save(tmp_path / "48" / "a.npy", grey(0, 48))
    with pytest.raises(DataError) as caught:
        read_sets(ScoreRequest(tmp_path / "40", tmp_path / "48"))
    assert "but got 40 x 40 in" in str(caught.value)
    assert "48 x 48 in" in str(caught.value)


def colour(path: Path) -> None:
    pixels = np.zeros((EDGE, EDGE, 3), np.uint8)
    pixels[0, 0] = (1, 2, 3)
    save_png(path, pixels)


def clear(path: Path) -> None:
    save_png(path, np.full((EDGE, EDGE, 4), 9, np.uint8))


def infinite(path: Path) -> None:
    values = np.stack([grey(0), grey(1)])
    values[1, 3, 3] = np.inf
    np.save(path, values)


def cut(path: Path) -> None:
    save_png(path, (grey(0) * 255).astype(np.uint8))
    path.write_bytes(path.read_bytes()[:300])


def jpeg(path: Path) -> None:
    Image.fromarray((grey(0) * 255).astype(np.uint8)).save(path, format="JPEG")


def zipped(path: Path) -> None:
    save_nifti(path, grey(0))
    with gzip.open(path, "rb") as file:
        content = file.read()
    path.write_bytes(gzip.compress(content)[:200])


BAD = [
    ("a.png", colour, "images must be grey, but got colour in '{}' (its channels differ)"),
    ("a.png", clear, "images must be opaque, but got transparent pixels in '{}'"),
    ("a.png", cut, "every PNG file must be readable, but got '{}' ("),
    ("a.png", jpeg, "every PNG file must be readable, but got '{}' (cannot be read as PNG)"),
    ("a.npy", infinite, "must be finite numbers, but got NaN or infinity in '{}', image 1;"),
    ("a.npy", lambda p: p.write_bytes(b"no"), "every NPY file must be readable, but got '{}' ("),
    ("a.npy", lambda p: np.save(p, np.empty((0, 40, 40))), "but got shape (0, 40, 40) in '{}'"),
    ("a.npy", lambda p: np.save(p, np.zeros((2, 1, 40, 40))), "shape (2, 1, 40, 40) of float64"),
    ("a.npy", lambda p: np.save(p, np.full((40, 40), "x")), "of <U1 in '{}'"),
    ("a.npy", lambda p: np.save(p, np.array([{}], object), allow_pickle=True), "in_"),
    ("a.nii", lambda p: p.write_bytes(b"no"), "every volume file must be readable, but got '{}' ("),
    ("a.nii.gz", zipped, "every volume file must be readable, but got '{}' ("),
    ("a.nii", lambda p: save_nifti(p, np.zeros((40, 40, 2, 2))), "one has 2"),
]


@pytest.mark.parametrize(("name", "make", "words"), BAD)
def test_bad_files_are_named(tmp_path: Path, name: str, make: object, words: str) -> None:
    make(tmp_path / name)  # type: ignore[operator]
    sentence = refused(tmp_path)
    assert str(tmp_path / name) in sentence
    assert words == "in_" or words.format(tmp_path / name) in sentence


def test_suffixes() -> None:
    assert [kind_of(n) for n in ("a.PNG", "b.nii.gz", ".a.npy", "c.gz")] == [
        *("PNG", "volume", None, None)
    ]
    assert stem_of("x/a.nii.gz") == "x/a"
    assert stem_of("x/a.b.npy") == "x/a.b"


@pytest.fixture
def three(tmp_path: Path) -> ImageSet:
    folder = tmp_path / "set"
    (folder / "sub").mkdir(parents=True)
    np.save(folder / "p1_0.npy", np.stack([grey(0), grey(1)]))
    np.save(folder / "sub" / "p2_0.npy", grey(2))
    return read_images(folder, "real")


def write_table(tmp_path: Path, text: str) -> str:
    (tmp_path / "table.csv").write_text(text)
    return str(tmp_path / "table.csv")


def test_patients_from_names(three: ImageSet) -> None:
    assert with_patients(three, r"(p\d)_").patients == ("p1", "p1", "p2")
    for rule, words in (
        (r"^(p\d)_", "but got none from 'sub/p2_0.npy' in "),
        (r"p\d", "needs one group, which is the patient, but got 0 in"),
        (r"(p", "must be a CSV file or a regular expression, but got '(p' ("),
    ):
        with pytest.raises((ConfigError, DataError), match=re.escape(words)):
            with_patients(three, rule)


def test_patients_from_a_table(three: ImageSet, tmp_path: Path) -> None:
    table = write_table(tmp_path, "patient,image\nA,p1_0.npy#1\nB,p1_0.npy\nC,p2_0.npy\n")
    assert with_patients(three, table).patients == ("B", "A", "C")
    windows = write_table(tmp_path, "image,patient\n.\\p1_0.npy,A\nsub\\p2_0.npy,C\n")
    assert with_patients(three, windows).patients == ("A", "A", "C")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("image,patient\np2_0.npy,C\n", "for 'p1_0.npy#0', 'p1_0.npy#1' of "),
        ("file,patient\nx,C\n", "but got file, patient in "),
        ("image,patient\np1_0.npy,\n", "but got row 2 of "),
        ("image,patient\na.npy,A\na.npy,B\n", "but got 'A' and 'B' for 'a.npy' in "),
    ],
)
def test_bad_tables(three: ImageSet, tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(DataError, match=re.escape(words)):
        with_patients(three, write_table(tmp_path, text))
    with pytest.raises(ConfigError, match=r"can be read, but got 'none\.csv'"):
        with_patients(three, "none.csv")


def test_a_file_name_of_two_folders_names_neither(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / "set" / folder).mkdir(parents=True)
        np.save(tmp_path / "set" / folder / "1.npy", grey(0))
    found = read_images(tmp_path / "set", "real")
    table = write_table(tmp_path, "image,patient\n1.npy,A\n")
    with pytest.raises(DataError, match="but got none in"):
        with_patients(found, table)
