"""From a scan to 2D pairs: landmarks, the place of a crop, its samples (framing), the store."""
