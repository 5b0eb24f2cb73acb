"""What watches a run: one file a sink; the contract is in `base`."""
