"""The experiment that `harness init` writes for one's own DICOM folder."""

from __future__ import annotations

from harness.config.data import DEFAULT_PATTERNS
from harness.config.load import parse_experiment
from harness.config.yaml_text import write_yaml

TEMPLATE = r"""# One file is one question. Each line can be changed here, or for one command with
#   -s section.setting=VALUE        (e.g. -s data.limit.train=20)
# Settings that are left out keep their recommended values; `harness config` prints
# all of them.

@name  # folder of the results and name of the MLflow experiment
question: Does GAN-made training data improve the segmentation network on our patients?

data:
  source: dicom
  # One folder, searched with all its subfolders: CT series and their RTSTRUCT in any order.
  # `harness prepare` lists who is in it, who is excluded and why, and the ROI names that it found
  # where none matched.
  @root
  structures: [parotid_left, parotid_right]
  # How your structure sets call them: regular expressions, tried on each ROI name in turn.
  # `(?i)` ignores capitals, `^` and `$` are the name's two ends. The first two of each match
  # L_Parotid, Parotid_L, LT PAROTID ...; the third is a name of one clinic: put yours there.
  patterns:
    parotid_left:
      @parotid_left
      - (?i)^ohrspeicheld.*li(nks)?$
    parotid_right:
      @parotid_right
      - (?i)^ohrspeicheld.*re(chts)?$
  # Patients, not slices, are divided, before anything is fitted. The test patients decide the
  # question once: with fewer than about 20 of them only large differences can be seen.
  roles: {by: random, validation: 0.15, test: 0.3, seed: 0}
  # null uses all; `train: 20` is a first look at small cost.
  limit: {train: null, validation: null, test: null}
  window_hu: [-324, 176]  # soft tissue; everything outside becomes black or white
  spacing_mm: 1.0         # pixels of the crops; finer than your scans adds cost, not detail

# Costs on two CPU cores, images a second (a GPU takes a small fraction of the time):
#   mask stage, 64 x 64:    width 16: about 600,  width 32: 300,  width 64: 120
#   image stage, 128 x 128: width 16: about  75,  width 24:  65,  width 64:  11
# Duration = epochs x training slices / that figure, for every seed.
mask:
  width: 64               # 16 to try things out, 64 for results
  batch_size: 12          # large batches fail here: 64 gave noise where 12 gave structures
  schedule: {epochs: 300}
image:
  width: 64
  batch_size: 4
  schedule: {epochs: 300}

synthesis:
  pairs: 300              # about as many as there are training slices

segmentation:
  updates: 2000           # the same for every arm; about 80 images a second, 16 an update

# What the segmenter trains on beside real pairs. `none` and `duplicate` are controls.
arms: [none, traditional, gan, traditional+gan, duplicate]

replicates:
  count: 5                # trainings of all stages and arms, own seeds; below 5 there is no verdict

# A search multiplies the cost of a stage by trials x seeds; null skips it.
sweep:
  mask: null
  image: null

# Fixed before the test evaluation; the report says what was changed afterwards.
decision:
  baseline: traditional
  candidate: traditional+gan
  margin: 0.01            # Dice; the smallest difference that would change what you do
"""


def starter(data_root: str, name: str) -> str:
    """A short commented experiment for the DICOM folder `data_root`.

    Args:
        data_root: the folder, as the user typed it (`~` may stand at its start).
        name: the experiment's name.

    Raises:
        ConfigError: `name` is not a valid name, or `data_root` is empty.
    """
    parse_experiment(write_yaml({"name": name}), "the new experiment")
    text = TEMPLATE.replace("@name", write_yaml({"name": name}).strip(), 1)
    text = text.replace("@root", write_yaml({"root": data_root}).strip(), 1)
    for structure, patterns in DEFAULT_PATTERNS.items():
        lines = "\n      ".join(f"- {pattern}" for pattern in patterns)
        text = text.replace(f"@{structure}", lines, 1)
    parse_experiment(text, f"{name}.yaml")
    return text
