"""The command line: argv becomes a job, a session runs it, every error is one line on stderr. Torch-free."""
