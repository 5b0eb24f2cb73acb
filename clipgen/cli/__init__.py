"""The command line: argv becomes a job, the runner makes it, every error ends as one line on stderr. Torch-free."""
