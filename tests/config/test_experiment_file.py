"""The experiment file: what it may hold, and the whole sentence for what it may not."""

from __future__ import annotations

from pathlib import Path

import pytest
from config_complaint import complaint

from harness.base.errors import ConfigError
from harness.config.experiment import Experiment
from harness.config.load import load_experiment, parse_experiment


def test_a_name_is_enough() -> None:
    assert parse_experiment("name: x", "try.yaml") == Experiment(name="x")


def test_files_of_editors_that_write_a_byte_order_mark_load(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes("name: x\nquestion: größer?\n".encode("utf-8-sig"))
    assert load_experiment(path).question == "größer?"


@pytest.mark.parametrize(
    ("text", "number"),
    [("1e-4", 1e-4), ("1E-4", 1e-4), ("1.e-4", 1e-4), ("+.5e-3", 5e-4), ("3", 3.0), ("0.02", 0.02)],
)
def test_numbers_are_what_they_look_like(text: str, number: float) -> None:
    loaded = parse_experiment(f"name: x\nmask: {{optimiser: {{learning_rate: {text}}}}}", "a")
    assert loaded.mask.optimiser.learning_rate == number


@pytest.mark.parametrize("name", ["no", "on", "2026-11-24", "1_000", "0x1F", "010", "12e"])
def test_words_that_older_yaml_turns_into_something_else_stay_text(name: str) -> None:
    assert parse_experiment(f"name: {name}", "a").name == name


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "try.yaml: the file must be a mapping (`name: ...`), but got nothing"),
        ("- a", 'try.yaml: the file must be a mapping (`name: ...`), but got ["a"]'),
        (
            "name: x\nseed: 1\nname: y",
            "try.yaml, line 3: a key may be given once, but got 'name' again (first on line 1); "
            "keep one of them",
        ),
        (
            "name: x\nmask: {width: 1, width: 2}",
            "try.yaml, line 2: a key may be given once, but got 'width' again (first on line 2); "
            "keep one of them",
        ),
        (
            "name: x\nmask:\n\twidth: 2",
            "try.yaml, line 3: the text must be YAML, but reading stopped: while scanning for the "
            "next token found character '\\t' that cannot start any token; "
            "indent with spaces, not tabs",
        ),
        (
            "name: x\nmask: [1",
            "try.yaml, line 2: the text must be YAML, but reading stopped: while parsing a flow "
            "sequence expected ',' or ']', but got '<stream end>'; is the bracket or brace of line "
            "2 closed?",
        ),
        (
            "mask: &m {width: 3}\nimage: *m",
            "try.yaml, line 1: the text must be YAML, but reading stopped: an anchor (&), which "
            "experiments do without",
        ),
        (
            "name: !!python/object/apply:os.system [ls]",
            "try.yaml, line 1: the text must be YAML, but reading stopped: a tag (!), which "
            "experiments do without",
        ),
        (
            "name: x\n---\nname: y",
            "try.yaml, line 2: the text must be YAML, but reading stopped: expected a single "
            "document in the stream but found another document",
        ),
        ("name: x\n3: y", "try.yaml, line 2: a key must be text, but got 3"),
        (
            "name: x\n? [a]\n: y",
            "try.yaml, line 2: a key must be text, but got a list or a mapping",
        ),
        (
            "name: x\nseed: \x07",
            "try.yaml, line 2: the text must be printable, but got a character of code 7",
        ),
        ("name: " + "[" * 5000, "try.yaml: settings may be nested 12 deep, but got more"),
        (
            "seed: " + "9" * 5000,
            "try.yaml, line 1: a number may have 400 digits, but got 5000",
        ),
    ],
    ids=lambda text: text[:20],
)
def test_what_is_no_experiment_is_one_sentence(text: str, said: str) -> None:
    assert complaint(text) == said


def test_a_missing_file_is_said_without_its_folder(tmp_path: Path) -> None:
    (tmp_path / "quickstart.yaml").write_text("name: x")
    for name, hint in (
        ("quikstart.yaml", "did you mean 'quickstart.yaml'?"),
        ("z", "check the path"),
    ):
        with pytest.raises(ConfigError) as caught:
            load_experiment(tmp_path / name)
        assert str(caught.value) == (
            f"the experiment must be an existing YAML file, but got '{name}'; {hint}"
        )
    with pytest.raises(ConfigError) as caught:
        load_experiment(tmp_path)
    assert str(caught.value) == (
        f"the experiment must be a readable YAML file, but got '{tmp_path.name}' (Is a directory); "
        "harness init FOLDER writes one"
    )


def test_a_file_in_another_encoding_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes("name: größe".encode("latin-1"))
    with pytest.raises(ConfigError) as caught:
        load_experiment(path)
    assert str(caught.value) == (
        "a.yaml: the file must be UTF-8 text, but got byte 0xf6 at position 8; save it as UTF-8"
    )


@pytest.mark.parametrize(
    "section", ["{{source: dicom, root: {}}}", "\n  source: dicom\n  root: {}"]
)
def test_a_relative_root_is_seen_from_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, section: str
) -> None:
    study, elsewhere = tmp_path / "study", tmp_path / "elsewhere"
    study.mkdir()
    elsewhere.mkdir()

    def root(written: str, path: Path, *overrides: str) -> str | None:
        (study / "a.yaml").write_text("name: x\ndata: " + section.format(written))
        return load_experiment(path, overrides).data.root

    monkeypatch.chdir(elsewhere)
    assert root("ct", study / "a.yaml") == str(study / "ct")
    assert root("ct", Path("../study/a.yaml")) == f"{elsewhere}/../study/ct"
    assert root("/far/ct", study / "a.yaml") == "/far/ct"
    assert root("~/ct", study / "a.yaml") == "~/ct"
    assert root("ct", study / "a.yaml", "data.root=mine") == str(elsewhere / "mine")
    given = "data={source: dicom, root: mine}"
    assert root("ct", study / "a.yaml", given) == str(elsewhere / "mine")
    assert root("<data.root>", study / "a.yaml") == "<data.root>"  # as it is stored: nowhere
    monkeypatch.chdir(study)
    assert root("ct", Path("a.yaml")) == str(study / "ct")


def test_a_file_of_subgroups_is_seen_from_the_experiment_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study").mkdir()
    path = tmp_path / "study" / "a.yaml"
    path.write_text("name: x\ndecision: {subgroups_file: centres.csv}")
    own = load_experiment(path).decision.subgroups_file
    assert own == str(path.parent / "centres.csv")
    given = load_experiment(path, ["decision.subgroups_file=other.csv"]).decision.subgroups_file
    assert given == str(tmp_path / "other.csv")


def test_the_root_is_expanded_where_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    loaded = parse_experiment("name: x\ndata: {source: dicom, root: ~/ct}", "a")
    assert (loaded.data.root, loaded.data.folder) == ("~/ct", Path("/somewhere/ct"))
    assert Experiment(name="x").data.folder is None
