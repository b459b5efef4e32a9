"""Trainings: mask stage, image stage, segmenter, with their batches and checkpoints."""
