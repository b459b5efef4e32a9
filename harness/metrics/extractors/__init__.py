"""Features of images by named networks, and the registry that names them."""
