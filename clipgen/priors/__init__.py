"""Priors: networks that propose the tokens of a picture for a text."""
