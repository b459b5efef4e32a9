"""The engine: specs, folders, leases, planners' graph, driver, workers; it knows no GAN."""
