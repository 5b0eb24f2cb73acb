"""Networks that see: images and texts in, unit vectors out."""
