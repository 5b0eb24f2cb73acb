"""Networks that propose tokens for a text: where a run begins instead of noise."""
