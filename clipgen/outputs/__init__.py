"""The sinks that observe a run and write files, one module each; their contract is in `clipgen.core.contracts`."""
