"""From a scan to 2D pairs: landmarks, where the crop lies, its frame, the store."""
