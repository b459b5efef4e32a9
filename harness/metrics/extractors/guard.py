"""Makes torchmetrics and torch-fidelity importable beside a CPU build of torch.

torch-fidelity brings torchvision, whose wheel on the registry is the CUDA build; beside a CPU torch
`import torchvision` fails with "operator torchvision::nms does not exist", and with it
`import torchmetrics`, which probes torchvision. Declaring the missing operators is enough: nothing
here calls them.
"""

from __future__ import annotations

import importlib
import sys
import threading
from typing import Any

_lock = threading.Lock()
_done = False
# The declared operators live as long as this object.
_library: Any = None


def guard_torchvision() -> None:
    """Call before the first import of torchmetrics or torch_fidelity; repeated calls do nothing.

    Leaves a working torchvision alone (a CUDA torch always has one), and an absent one absent.
    """
    global _done
    with _lock:
        if not _done:
            _repair()
            _done = True


def _repair() -> None:
    global _library
    try:
        importlib.import_module("torchvision")
    except ModuleNotFoundError:
        return
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
    else:
        return
    import torch

    # A failed import leaves half-made modules behind that a second import would trust.
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]
    _library = torch.library.Library("torchvision", "DEF")
    for operator in ("nms", "qnms"):
        _library.define(operator + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    importlib.import_module("torchvision")
