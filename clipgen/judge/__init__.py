"""Scores from models that did not guide."""
