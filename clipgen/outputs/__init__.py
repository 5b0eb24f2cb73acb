"""What watches a run and writes files: one file a sink; the contract is in `clipgen.core.contracts`."""
