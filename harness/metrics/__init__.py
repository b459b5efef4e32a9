"""Arrays in, numbers out: features, fidelity, similarity, mask shapes, segmentation, inference."""
