"""Does GAN-made training data improve a segmentation network?"""

__version__ = "0.1.0"
