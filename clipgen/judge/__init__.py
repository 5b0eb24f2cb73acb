"""Scores by models that did not guide."""
