"""How networks are trained on captioned pictures."""
