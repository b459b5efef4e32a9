"""What a sweep and a comparison will cost, by steps timed on this machine."""
