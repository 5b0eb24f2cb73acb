"""Perceptors: networks that embed images and texts as unit vectors."""
