"""Does GAN-made training data improve a segmentation network?

From Python (docs/python.md): `harness.results`, and the packages `harness.inference`,
`harness.metrics` and `harness.data`.
"""

from harness.base.door import door

__version__ = "0.1.0"

_names, __getattr__ = door(__name__, {"commands.results": "results Results"})
__all__ = ["__version__", *_names]
