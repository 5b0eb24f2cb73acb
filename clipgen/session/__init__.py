"""Jobs to files, without a command line: one picture, many, candidates, resume."""
