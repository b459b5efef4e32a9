"""The experiment that `harness init` writes for one's own folder of patients."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass

from harness.base.text import counted
from harness.config.data import DataConfig
from harness.config.experiment import to_dict
from harness.config.load import parse_experiment
from harness.config.render import comment_lines
from harness.config.yaml_text import write_yaml

MANY_CORES = 8
TEMPLATE = r"""# One file is one question. Each line can be changed here, or for one command with
#   -s section.setting=VALUE        (e.g. -s data.limit.train=20)
# Settings that are left out keep their recommended values; `harness config` prints
# all of them.

@name  # folder of the results and name of the MLflow experiment
question: Does GAN-made training data improve the segmentation network on our patients?

data:
  @source
  # One folder, searched with all its subfolders; a relative one is seen from this file's folder.
  # `harness prepare` lists who is in it, who is excluded and why.
  @root
  @found
  @structures
  # Regular expressions of a structure's names, tried on each name in turn: `(?i)` ignores
  # capitals, `^` and `$` are the name's two ends. A structure without any goes by its usual names
  # (docs/own-data.md), one with some by these alone:
  #   parotid_left: ['(?i)^parotis li$', '(?i)parotid.*l']
  @named
  @patterns
  # Patients, not slices, are divided, before anything is fitted. The test patients decide the
  # question once: with fewer than about 20 of them only large differences can be seen.
  roles: {by: random, validation: 0.15, test: 0.3, seed: 0}
  # null uses all; `train: 20` is a first look at small cost.
  limit: {train: null, validation: null, test: null}
  @window
  @window_hu
  @crop
  @spacing_mm
  crop: {frame_px: 128, mask_px: 64}

# Costs on two CPU cores, images a second (a GPU takes a small fraction of the time):
#   mask stage, 64 x 64:    width 16: about 600,  width 32: 300,  width 64: 120
#   image stage, 128 x 128: width 16: about  75,  width 24:  65,  width 64:  11
# Duration = epochs x training slices / that figure, for every seed.
@machine
mask:
  width: @mask_width               # 16 to try things out, 64 for results
  batch_size: 12          # large batches fail here: 64 gave noise where 12 gave structures
  schedule: {epochs: @mask_epochs}
image:
  width: @image_width
  batch_size: 4
  schedule: {epochs: @image_epochs}

synthesis:
  pairs: 300              # about as many as there are training slices

segmentation:
  updates: 2000           # the same for every arm; about 80 images a second, 16 an update

# What the segmenter trains on beside real pairs. `none` and `duplicate` are controls.
arms: [none, traditional, gan, traditional+gan, duplicate]

replicates:
  count: 5                # trainings of all stages and arms, own seeds; below 5 there is no verdict
  cohorts: fixed          # disjoint gives each its own training patients: the answer is then for
                          # patients like these, not for these

# A search multiplies the cost of a stage by trials x seeds; null skips it. With `harness sweep`
# both sides of the comparison choose their segmenter's settings, which takes about as long as the
# comparison itself; `segmentation: null` leaves them as they are above.
sweep:
  mask: null
  image: null

# Fixed before the test evaluation; the report says what was changed afterwards.
decision:
  baseline: traditional
  candidate: traditional+gan
  measure: dice           # or surface_dice, hd95_mm
  margin: 0.01            # in the unit of the measure: what would change what you do
  budget_seeds: 0         # 3 also trains both arms for half and twice the updates, to see whether
                          # these suffice; else the verdict says that nobody showed it
"""


@dataclass(frozen=True)
class Sizes:
    """What a machine can train in a night.

    Attributes:
        words: of what machine.
        mask, image: width and epochs of each stage.
    """

    words: str
    mask: tuple[int, int]
    image: tuple[int, int]

    @classmethod
    def of(cls, cores: int, gpu: bool) -> Sizes:
        """The thesis's networks on a GPU; without one narrow ones, on few cores fewer epochs of the
        image stage, which takes most of the time."""
        where = f"{counted(cores, 'core')} without a GPU"
        if gpu:
            return cls("a GPU", (64, 300), (64, 300))
        if cores >= MANY_CORES:
            return cls(where, (32, 300), (24, 300))
        return cls(where, (16, 300), (16, 100))


def starter(
    name: str,
    data: DataConfig,
    words: Mapping[str, str],
    sizes: Sizes,
    schema: str | None = None,
) -> str:
    """A short commented experiment.

    Args:
        name: the experiment's name.
        data: source, root, labels, structures, patterns, window and spacing.
        words: what a comment says of the structures found ("found"), of the names that they have
            ("named"), of the window ("window") and the crops ("crop"), and the command that times a
            run ("cost").
        schema: file of the JSON schema of experiments, which lies beside.

    Raises:
        ConfigError: `name` is not a valid name, or a setting breaks a rule.
    """
    parse_experiment(write_yaml({"name": name}), "the new experiment")
    machine = (
        f"Widths and epochs below are for {sizes.words}. `{words['cost']}` times the networks on "
        "the machine where it is typed, says how long each part takes, and trains nothing."
    )
    comments = {**words, "named": f"Here: {words['named']}.", "machine": machine}
    values = {"name": name, **to_dict(data)}
    values["window_hu"] = [int(end) if float(end).is_integer() else end for end in data.window_hu]
    numbers = dict(zip(("mask_width", "mask_epochs"), sizes.mask, strict=True))
    numbers |= zip(("image_width", "image_epochs"), sizes.image, strict=True)

    def filled(match: re.Match[str]) -> str:
        indent, key = match[1] or "", match[2]
        if key in comments:
            return "\n".join(comment_lines(comments[key], indent))
        if key in values:
            block = {key: values[key]}
            if key == "source" and data.images.labels:
                block["images"] = {"labels": dict(data.images.labels)}
            return textwrap.indent(write_yaml(block).rstrip("\n"), indent)
        return f"{indent}{numbers[key]}"

    text = re.sub(r"(?m)(^ *)?@(\w+)", filled, TEMPLATE)
    if schema is not None:
        text = f"# yaml-language-server: $schema={schema}\n{text}"
    parse_experiment(text, f"{name}.yaml")
    return text
