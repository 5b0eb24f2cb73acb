"""How the starter models are trained."""
