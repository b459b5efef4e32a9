"""Finding things by name."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from harness.base.errors import ConfigError, EnvironmentFault
from harness.base.registry import Registry
from harness.base.text import nearest


def plant(site: Path, package: str, group: str, line: str) -> None:
    """What an installed distribution with one entry point leaves behind."""
    folder = site / f"{package}-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(f"[{group}]\n{line}\n")


def known() -> Registry[int]:
    return Registry("data.source", "harness.no-such-group", {"phantom": 1, "openkbp": 2})


def test_a_name_finds_its_thing() -> None:
    assert known().get("openkbp") == 2
    assert list(known()) == ["phantom", "openkbp"]


def test_a_second_thing_of_one_name_is_refused() -> None:
    registry = known()
    with pytest.raises(ConfigError) as caught:
        registry.add("phantom", 3)
    assert str(caught.value) == (
        "each data.source needs a name of its own, but got 'phantom' twice"
    )
    assert registry.get("phantom") == 1


@pytest.mark.parametrize(
    ("name", "hint"),
    [("openkpb", "; did you mean 'openkbp'?"), ("OpenKBP", "; did you mean 'openkbp'?"), ("x", "")],
)
def test_a_miss_lists_what_is_valid_and_near(name: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        known().get(name)
    assert str(caught.value) == (
        f"data.source must be one of: phantom, openkbp; but got '{name}'{hint}"
    )


def test_nearest_keeps_the_valid_spelling() -> None:
    assert nearest("float23", ["auto", "Float32"]) == "Float32"
    assert nearest("zzz", ["auto"]) is None


def test_other_packages_register_by_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(tmp_path, "clinic", "harness.test-group", "clinic = clinic_source:FIVE")
    (tmp_path / "clinic_source.py").write_text("FIVE = 5\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    registry: Registry[int] = Registry("data.source", "harness.test-group", {"phantom": 1})
    assert registry.get("clinic") == 5
    assert list(registry) == ["phantom", "clinic"]
    twice: Registry[int] = Registry("data.source", "harness.test-group", {"clinic": 1})
    with pytest.raises(ConfigError, match="'clinic' twice; uninstall the package 'clinic'"):
        list(twice)


def test_a_package_that_cannot_be_imported_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(tmp_path, "broken", "harness.test-group", "broken = no_such_module:X")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    registry: Registry[int] = Registry("data.source", "harness.test-group", {})
    assert list(registry) == ["broken"]
    with pytest.raises(EnvironmentFault, match="'no_such_module:X'; mend or uninstall its package"):
        registry.get("broken")


def test_what_lies_elsewhere_is_imported_when_it_is_asked_for() -> None:
    registry: Registry[object] = Registry("word", "harness.no-such-group", {"e": "math:e"})
    assert list(registry) == ["e"]
    assert registry.get("e") == pytest.approx(2.718281828)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("a:b = clinic_odd:FIVE", r"name of a data\.source must be small letters.*got 'a:b' of"),
        ("five = clinic_odd:FIVE", r"'five' must be a Decimal, but got a int from 'clinic_odd"),
    ],
)
def test_what_another_package_adds_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, said: str
) -> None:
    plant(tmp_path, "odd", "harness.odd-group", line)
    (tmp_path / "clinic_odd.py").write_text("FIVE = 5\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    registry: Registry[object] = Registry("data.source", "harness.odd-group", {}, "decimal:Decimal")
    with pytest.raises((ConfigError, EnvironmentFault), match=said):
        registry.get("five")
