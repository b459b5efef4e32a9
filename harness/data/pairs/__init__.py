"""From a scan to 2D pairs: landmarks, a crop's place (placement), its samples (framing), the store."""
