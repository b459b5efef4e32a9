"""The file format that all layers above share: specs, job folders, journals, leases, states."""
