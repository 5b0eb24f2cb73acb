"""The starter set: the drawn world, the recipes that learn it, and the weights that they left."""
