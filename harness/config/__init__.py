"""The experiment file: pydantic models, loading, overrides, and the documented print-out."""
