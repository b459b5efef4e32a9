"""`harness calibrate`: what verdicts and the design of a comparison can detect."""
