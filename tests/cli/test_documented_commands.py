"""What README, CONTRIBUTING and docs/ tell people to type: all of it parses, and what takes seconds
runs, on tiny inputs. Settings that they name exist, their links lead somewhere."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
import yaml
from factories.cli import run_cli
from factories.decide import vector, write
from factories.patients import write_patients
from PIL import Image

from harness.cli import app
from harness.config.experiment import Experiment, to_dict
from harness.config.load import load_experiment, parse_experiment

ROOT = Path(__file__).parents[2]
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md")))
}
COMMANDS: Any = typer.main.get_command(app)
USAGE_ERROR = typer.BadParameter.__mro__[1]

ANOTHER_NAME = {"mine.yaml": "EXPERIMENT", "~/ct-folder": "FOLDER", "COMMAND": "run"}
"""Words of the pages that stand for the same thing."""

WHOLE_PATH = "trains; tests/e2e/test_whole_path.py"
BY_STEPS = "trains; tests/cli/test_command_path.py goes through it on stand-in results"
ONLY_PARSED = {
    "run EXPERIMENT": WHOLE_PATH,
    "run experiments/quickstart.yaml": WHOLE_PATH,
    "run experiments/openkbp/smoke.yaml -s data.root=FOLDER": "trains for 45 minutes",
    "sweep EXPERIMENT": BY_STEPS,
    "sweep EXPERIMENT --stage segmentation": "trains; tests/compare/test_tuning.py",
    "run EXPERIMENT --dry-run": "times for many seconds; tests/cli/test_command_path.py",
    "sweep EXPERIMENT --workdir /shared/work": "needs Slurm; tests/cluster/test_slurm.py",
    "sweep EXPERIMENT --workdir /shared/work --engine ray --address auto": "tests/cluster: Ray",
    "compare EXPERIMENT": BY_STEPS,
    "collapse EXPERIMENT": "needs a sweep; tests/cli/test_collapse_command.py",
    "calibrate collapse EXPERIMENT": "minutes",
    "calibrate memorisation EXPERIMENT": "minutes",
    "export nnunet EXPERIMENT --output RAW --dataset-id 502 --arm traditional+gan": (
        "needs a comparison; tests/commands/nnunet/test_nnunet_arms.py"
    ),
    "decide reports/openkbp-compare/scores.csv --baseline traditional+nothing "
    "--candidate traditional+gan:added --looked-at 3": "reads a published report",
    "decide closeness.csv --value dice --observer radiographer --margin 0.02": (
        "needs two observers' masks; tests/commands/test_decide_observer.py"
    ),
    "report EXPERIMENT --open": "opens a browser; tests/commands/test_browser.py",
    "doctor harness-work": "needs a run; tests/e2e/test_damage.py",
    "ui EXPERIMENT": "serves until Ctrl-C; tests/tracking/test_ui.py",
    "--install-completion": "writes to the shell's start-up file; tests/cli/test_help.py completes",
}
"""Command -> why it is not run here."""

SMALLER = {
    "prepare": ["--engine", "inline"],
    "plan": ["--repeats", "200", "--engine", "inline"],
    "export": ["--folds", "3"],  # of three training patients
}
"""What is typed beside, so that it takes seconds."""


def blocks(text: str) -> Iterator[str]:
    """The lines of indented and fenced code blocks."""
    fenced = False
    for line in text.splitlines():
        fenced ^= line.startswith("```")
        if fenced or line.startswith("    "):
            yield from (part.strip() for part in line.split("&&"))


def spans(text: str) -> Iterator[str]:
    """What stands between backticks in a paragraph."""
    for span in re.findall(r"(?<!`)`([^`]+)`(?!`)", text):
        yield " ".join(span.split())


def typed(line: str) -> list[str]:
    """The words after `harness`, in the names used here; none of other lines."""
    line = re.sub(r"^sbatch .* deploy/slurm\.sh ", "harness ", line)  # which types it
    if not line.startswith("harness "):
        return []
    words = shlex.split(line.replace("[EXPERIMENT]", "EXPERIMENT"), comments=True)
    return [ANOTHER_NAME.get(word, word) for word in words[1:]]


def objection(words: list[str]) -> str:
    """What the command line says against them; "" where they can be typed as they stand."""
    name, *rest = words
    if name.startswith("-"):
        return "" if any(name in param.opts for param in COMMANDS.params) else "no such option"
    if name not in COMMANDS.commands:
        return "no such command"
    try:
        if "--help" not in rest:
            COMMANDS.commands[name].make_context(name, rest)
    except USAGE_ERROR as error:
        return f"{type(error).__name__}: {error}"
    return ""


SHOWN = [
    (page, words, in_block)
    for page, text in PAGES.items()
    for lines, in_block in ((blocks(text), True), (spans(text), False))
    for line in lines
    if (words := typed(line))
]
WHOLE = {" ".join(words): words for _, words, _ in SHOWN if not objection(words)}
RUN = {text: words for text, words in WHOLE.items() if text not in ONLY_PARSED}


@pytest.mark.parametrize(
    ("page", "words", "in_block"), SHOWN, ids=[f"{page}: {' '.join(w)}" for page, w, _ in SHOWN]
)
def test_a_command_that_is_shown_parses(page: str, words: list[str], in_block: bool) -> None:
    """A paragraph may name a command without its arguments; a block may not."""
    said = objection(words)
    assert not said or (not in_block and said.startswith("MissingParameter"))


def test_what_is_only_parsed_is_still_shown() -> None:
    assert ONLY_PARSED.keys() <= WHOLE.keys()
    for reason in ONLY_PARSED.values():
        assert all((ROOT / place).exists() for place in re.findall(r"tests/[\w/.]*\w", reason))


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the placeholders name: patients, folders of images, a table of scores."""
    home = tmp_path_factory.mktemp("inputs")
    write_patients(home / "FOLDER", [{}] * 3)
    rng = np.random.default_rng(0)
    rows = ["image,patient"]
    for folder in ("REAL", "SYNTHETIC", "HELDOUT"):
        (home / folder).mkdir()
        for name in (f"{folder}-{index}.png" for index in range(8)):
            grey = rng.integers(0, 256, (32, 32), dtype=np.uint8)
            Image.fromarray(grey).save(home / folder / name)
            rows.append(f"{name},patient of {name}")
    (home / "patients.csv").write_text("\n".join(rows))
    for name in ("scores.csv", "SCORES.csv"):
        write(home / name, {"B": vector(), "traditional": vector(), "traditional+gan": -vector()})
    return home


@pytest.mark.parametrize("text", RUN)
def test_a_command_that_takes_seconds_runs(
    text: str, here: Path, experiment: str, prepared: Path, inputs: Path
) -> None:
    words = RUN[text]
    shutil.copytree(inputs, here, dirs_exist_ok=True)
    shutil.copytree(prepared, here / "harness-work")
    if words[0] != "init":  # which writes one
        Path(experiment).rename("EXPERIMENT")
    answer = run_cli(*words, *SMALLER.get(words[0], []))
    assert answer.code == 0, answer.err


def test_settings_that_are_shown_exist(here: Path, experiment: str) -> None:
    """`-s KEY=VALUE`, names of settings between backticks, and blocks of YAML."""
    every = [span for text in PAGES.values() for span in spans(text)]
    lists = [shlex.split(span)[:2] for span in every if span.startswith("-s ")]
    lists += [words for _, words, _ in SHOWN]
    settings = {value for words in lists for option, value in pairwise(words) if option == "-s"}
    # A network of another package: tests/contracts/test_other_packages.py installs it.
    for setting in settings - {"mask={network: blobs, latent: 6}"}:
        load_experiment(Path(experiment), [setting])

    sections = "|".join(Experiment.model_fields)
    names = [m[0] for s in every if (m := re.match(rf"({sections})(\.[a-z_]+)+(?![\w.])", s))]
    assert len(names) > 20
    for name in names:
        tree: Any = to_dict(parse_experiment("name: any", "any"))
        for part in name.split("."):
            assert part in tree, name
            tree = tree[part]

    for text in PAGES.values():
        for block in re.findall(r"^```yaml\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
            part = yaml.safe_load(block)
            if not part.keys() <= Experiment.model_fields.keys():  # of one stage's sweep
                part = {"sweep": {"mask": {"space": {"batch_size": {"values": [4]}}, **part}}}
            parse_experiment(yaml.safe_dump({"name": "any", **part}), "any")


def test_links_lead_to_files_and_headings() -> None:
    for page, text in PAGES.items():
        for link in re.findall(r"(?<!!)\[[^\]]*\]\((?!https?:)([^)]+)\)", text):
            place, _, anchor = link.partition("#")
            target = (ROOT / page).parent / place if place else ROOT / page
            assert target.exists(), f"{page}: {link}"
            headings = re.findall(r"^#+ (.*)", target.read_text("utf-8") if anchor else "", re.M)
            slugs = [re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings]
            assert not anchor or anchor in slugs, f"{page}: {link}"
