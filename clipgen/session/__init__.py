"""Jobs to files, without a command line: single pictures, batches, candidates, resume."""
