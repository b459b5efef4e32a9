"""Procedural head-and-neck patients: anatomy, and its files."""

from harness.data.phantom.anatomy import Anatomy, make_anatomy
from harness.data.phantom.dicom_writer import Order, write_patient

__all__ = ["Anatomy", "Order", "make_anatomy", "write_patient"]
