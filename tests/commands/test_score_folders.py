"""What `harness score` makes of anyone's folder: links, leftovers, names, files that are odd."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
import tempfile
import unicodedata
import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from numpy.typing import NDArray
from PIL import Image

from harness.base.errors import DataError
from harness.commands.score.image_patients import with_patients
from harness.commands.score.image_set import read_images
from harness.commands.score.pixels import score_pairs
from harness.commands.score.request import ScoreRequest, drawn_sets, read_sets

EDGE = 32


def grey(seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (EDGE, EDGE), np.uint8)


def put(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(grey(seed)).save(path, format="PNG")
    return path


def refusal(folder: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_images(folder, "real")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_links_to_folders_are_followed_once(tmp_path: Path) -> None:
    root, away = tmp_path / "set", tmp_path / "away"
    put(root / "z" / "1.png", 1)
    put(away / "2.png", 2)
    put(away / "deep" / "3.png", 3)
    (root / "a").symlink_to(root / "z")  # before it in the order of names
    (root / "b").symlink_to(away)
    (root / "c").symlink_to(away)
    (away / "deep" / "loop").symlink_to(away)
    (root / "z" / "loop").symlink_to(root)
    (root / "up").symlink_to(tmp_path)
    (root / "d.png").symlink_to(root / "z" / "1.png")
    found = read_images(root, "real")
    assert found.names == ("b/2.png", "b/deep/3.png", "z/1.png")
    np.testing.assert_array_equal(found.images[1], grey(3) / np.float32(255))
    assert found.notes == (
        "real: left out 6 links that lead back or to what is read already (loop, a, c and 2 more)",
    )


def test_a_set_behind_a_link_and_links_to_files(tmp_path: Path) -> None:
    put(tmp_path / "away" / "x.png", 4)
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "y.png").symlink_to("../away/x.png")
    (tmp_path / "set").symlink_to("real")
    found = read_images(tmp_path / "set", "real")
    assert (found.names, found.notes) == (("y.png",), ())


@pytest.mark.parametrize("name", ["a.png", "notes.txt", "folder"])
def test_links_to_nowhere_are_named(tmp_path: Path, name: str) -> None:
    put(tmp_path / "ok.png")
    (tmp_path / name).symlink_to(tmp_path / "gone")
    assert refusal(tmp_path) == (
        "every link in a folder of images must be readable, but got "
        f"'{tmp_path / name}' (it leads nowhere); repair it or take it out"
    )
    (tmp_path / name).unlink()
    (tmp_path / name).symlink_to(name)
    assert "(it leads nowhere)" in refusal(tmp_path)


READ_AS_NOBODY = """
import os, sys
from pathlib import Path
import nibabel, PIL.Image
from harness.base.errors import DataError
from harness.commands.score.image_set import read_images
if os.geteuid() == 0:
    os.setgroups([]), os.setgid(65534), os.setuid(65534)
try:
    print(read_images(Path(sys.argv[1]), "real").names)
except DataError as error:
    print(error)
"""


@pytest.mark.parametrize("name", ["a.png", "a.npy", "a.nii", "IM0001", "folder"])
def test_what_may_not_be_read_is_named(name: str) -> None:
    """As another user, since root may read everything; in a folder that others may enter."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        locked = Path(folder, name)
        if name == "folder":
            locked.mkdir()
        else:
            locked.write_bytes(b"x" * 200)
        if name in ("IM0001", "folder"):
            put(Path(folder, "ok.png"))
        locked.chmod(0)
        said = subprocess.run(
            [sys.executable, "-c", READ_AS_NOBODY, folder], capture_output=True, text=True
        )
        locked.chmod(0o700)
    whose = f"it belongs to {pwd.getpwuid(os.getuid()).pw_name} (uid {os.getuid()}), mode 0000"
    assert f"must be readable, but got '{locked}' (Permission denied: {whose}); " in said.stdout
    assert said.stderr == ""


def test_hidden_files_and_leftovers_of_systems_are_counted(tmp_path: Path) -> None:
    put(tmp_path / "a.png", 1)
    for name in (
        "._a.png",
        ".ipynb_checkpoints/a-checkpoint.png",
        "__MACOSX/a.png",
        "sub/@eaDir/a.png/thumb.png",
        "Thumbs.db",
        "sub/.DS_Store",
    ):
        put(tmp_path / name, 2)
    (tmp_path / ".#a.png").symlink_to("somebody@host.1234")  # an editor's lock
    found = read_images(tmp_path, "real")
    assert found.names == ("a.png",)
    assert len(found.notes) == 1
    assert found.notes[0].startswith("real: left out 7 hidden or system files and folders (")
    assert read_images(tmp_path / "__MACOSX", "real").names == ("a.png",)
    assert read_images(tmp_path / ".ipynb_checkpoints", "real").names == ("a-checkpoint.png",)
    (tmp_path / "a.png").unlink()
    assert "but got 7 hidden or system files and folders (" in refusal(tmp_path)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    put(tmp_path / "a.png")
    os.mkfifo(tmp_path / "b.png")
    assert read_images(tmp_path, "real").notes == (
        "real: left out 1 pipe, socket or device (b.png)",
    )


def test_names_cannot_break_the_sentence(tmp_path: Path) -> None:
    put(tmp_path / "a\nb\x1b[31m.png").write_bytes(b"no")
    assert "a?b?[31m.png' (cannot be read as PNG)" in refusal(tmp_path)
    os.rename(tmp_path / "a\nb\x1b[31m.png", os.path.join(os.fsencode(tmp_path), b"\xff.png"))
    assert "/?.png' (" in refusal(tmp_path).encode().decode()


def test_archives_are_to_be_unpacked(tmp_path: Path) -> None:
    (tmp_path / "set.zip").write_bytes(b"PK")
    assert refusal(tmp_path).endswith(
        f"but got 1 archive (set.zip) in '{tmp_path}'; unpack what holds images"
    )
    assert "set.zip', a file; unpack an archive; check" in refusal(tmp_path / "set.zip")
    (tmp_path / "set.zip").unlink()
    np.savez(tmp_path / "a.npz", grey(0))
    assert refusal(tmp_path).endswith("or its values with numpy.save as .npy")


def animated(path: Path) -> None:
    first, second = Image.fromarray(grey(0)), Image.fromarray(grey(1))
    first.save(path, save_all=True, append_images=[second])


def see_through(path: Path) -> None:
    Image.fromarray(grey(0)).save(path, transparency=int(grey(0)[0, 0]))


def colour_table(path: Path) -> None:
    image = Image.fromarray(grey(0)).convert("P")
    image.putpalette([value for n in range(256) for value in (n, 0, 255 - n)])
    image.save(path)


def sixteen_colours(path: Path) -> None:
    """RGB of 16 bits a channel, which Pillow does not write; chunks by hand."""

    def chunk(name: bytes, data: bytes) -> bytes:
        size, check = len(data).to_bytes(4, "big"), zlib.crc32(name + data).to_bytes(4, "big")
        return size + name + data + check

    edge = EDGE.to_bytes(4, "big")
    rows = b"".join(b"\0" + bytes(6 * EDGE) for _ in range(EDGE))
    head = chunk(b"IHDR", edge + edge + bytes([16, 2, 0, 0, 0]))
    body = chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + body)


ODD = [
    (lambda path: path.write_bytes(b""), "every PNG file must be readable, but got '{}' (it is em"),
    (animated, "a PNG file must hold one image, but got 2 frames in '{}'"),
    (see_through, "images must be opaque, but got transparent pixels in '{}'"),
    (colour_table, "images must be grey, but got colour in '{}'"),
    (sixteen_colours, "a PNG of 16 bits must be grey, but got colour or transparency in '{}'"),
]


@pytest.mark.parametrize(("write", "words"), ODD)
def test_odd_png_files_are_named(tmp_path: Path, write: object, words: str) -> None:
    write(tmp_path / "a.png")  # type: ignore[operator]
    assert words.format(tmp_path / "a.png") in refusal(tmp_path)


def test_a_grey_table_and_opaque_alpha_are_grey(tmp_path: Path) -> None:
    values = grey(0)
    table = Image.fromarray(255 - values).convert("P")
    table.putpalette([255 - n for n in range(256) for _ in range(3)])
    table.save(tmp_path / "table.png")
    alpha = np.dstack([values, np.full_like(values, 255)])
    Image.fromarray(alpha, mode="LA").save(tmp_path / "alpha.png")
    for image in read_images(tmp_path, "real").images:
        np.testing.assert_array_equal(image, values / np.float32(255))


def pair(tmp_path: Path, real: list[str], synthetic: list[str]) -> float:
    """MAE of pairs; files of one place in the lists are equal, others are not."""
    for side, names in (("real", real), ("synthetic", synthetic)):
        for seed, name in enumerate(names):
            put(tmp_path / side / name, seed)
    sides = [read_images(tmp_path / side, side) for side in ("real", "synthetic")]
    return score_pairs(*sides, None)["scores"]["mae"]["value"]


def test_names_are_paired_as_people_read_them(tmp_path: Path) -> None:
    composed = [unicodedata.normalize("NFC", name) for name in ("Jörg.png", "é/1.png")]
    taken_apart = [unicodedata.normalize("NFD", name) for name in composed]
    assert composed != taken_apart
    assert pair(tmp_path / "a", composed, taken_apart) == 0
    assert pair(tmp_path / "b", ["P1/A.png", "p2/b.PNG"], ["p1/a.png", "P2/B.png"]) == 0
    # Capitals count where both sides have the same ones.
    assert pair(tmp_path / "c", ["a.png", "A.png"], ["a.png", "A.png"]) == 0
    with pytest.raises(
        DataError, match=r"got 'a' twice in '.*synthetic', capitals aside; rename one"
    ):
        pair(tmp_path / "d", ["a.png", "A.png", "B.png"], ["a.png", "A.png", "b.png"])


def test_stacks_of_other_depths_are_no_pairs(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((5, EDGE, EDGE))
    for side, count in (("real", 5), ("synthetic", 4)):
        (tmp_path / side).mkdir()
        np.save(tmp_path / side / "a.npy", values[:count])
    sides = [read_images(tmp_path / side, side) for side in ("real", "synthetic")]
    with pytest.raises(DataError, match=r"as many slices on both sides, but got 4 in .* and 5 in "):
        score_pairs(*sides, None)


def test_patients_are_looked_up_whatever_the_system_made_of_names(tmp_path: Path) -> None:
    put(tmp_path / "set" / unicodedata.normalize("NFD", "Jörg_1.png"))
    found = read_images(tmp_path / "set", "real")
    composed = unicodedata.normalize("NFC", "Jörg")
    (tmp_path / "table.csv").write_text(f"image,patient\n{composed}_1.png,{composed}\n")
    assert with_patients(found, str(tmp_path / "table.csv")).patients == (composed,)
    rule = unicodedata.normalize("NFD", "^(Jörg)_")
    assert with_patients(found, rule).patients == (composed,)


def test_masks_among_images_are_doubted(tmp_path: Path) -> None:
    for seed in range(3):
        put(tmp_path / f"{seed}.png", seed)
    Image.fromarray((grey(0) > 99).astype(np.uint8) * 255).save(tmp_path / "mask.png")
    Image.fromarray(grey(0) // 16).save(tmp_path / "labels.png")
    Image.fromarray(np.zeros((EDGE, EDGE), np.uint8)).save(tmp_path / "blank.png")
    assert read_images(tmp_path, "real").notes == (
        "real: 2 of 6 files hold no more than 32 different values (e.g. 'labels.png'): are they "
        "masks or label maps?",
    )


def test_a_side_of_masks_against_images_is_doubted(tmp_path: Path) -> None:
    for side in ("real", "synthetic"):
        for seed in range(3):
            put(tmp_path / side / f"{seed}.png", seed)
            mask = Image.fromarray((grey(seed) > 99).astype(np.uint8) * 255)
            (tmp_path / f"masks of {side}").mkdir(exist_ok=True)
            mask.save(tmp_path / f"masks of {side}" / f"{seed}.png")
    doubt = (
        "the synthetic images hold no more than 32 different values, others more: are they masks "
        "or label maps?"
    )
    for real, synthetic, said in (
        ("real", "synthetic", False),
        ("real", "masks of synthetic", True),
        ("masks of real", "masks of synthetic", False),
    ):
        request = ScoreRequest(tmp_path / real, tmp_path / synthetic)
        notes = drawn_sets(read_sets(request), request)[2]
        assert (doubt in notes) == said, notes


@pytest.mark.parametrize("ending", [".mhd", ".nhdr"])
def test_voxels_of_another_name_than_their_header_are_not_left_out(
    tmp_path: Path, ending: str
) -> None:
    path = tmp_path / f"a{ending}"
    volume = SimpleITK.GetImageFromArray(np.random.default_rng(0).random((3, EDGE, EDGE)))
    SimpleITK.WriteImage(volume, str(path))
    (tmp_path / "a.raw").rename(tmp_path / "my voxels.raw")
    path.write_text(path.read_text().replace("a.raw", "my voxels.raw"))
    (tmp_path / "other.raw").write_bytes(b"1")
    [said] = [note for note in read_images(tmp_path, "real").notes if "left out" in note]
    assert said.startswith("real: left out 1 image of a kind that is not read (.raw)")


def test_images_that_a_set_holds_twice_are_said(tmp_path: Path) -> None:
    for name, seed in (("1.png", 1), ("2.png", 2), ("copy/1.png", 1)):
        put(tmp_path / "real" / name, seed)
        put(tmp_path / "fake" / name, seed + (name == "copy/1.png") * 7 + 20)
    request = ScoreRequest(tmp_path / "real", tmp_path / "fake")
    notes = drawn_sets(read_sets(request), request)[2]
    assert [note for note in notes if "more than once" in note] == [
        "real: images there more than once, pixel for pixel: 1 of 3 (e.g. 'copy/1.png' and '1.png')"
    ]
