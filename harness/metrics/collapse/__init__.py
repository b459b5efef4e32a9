"""Mode collapse and failed convergence: the evidence and the verdict."""
