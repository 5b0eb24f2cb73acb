"""What makes the loop robust and affordable: models, memory, recovery from non-finite values, snapshots, growth."""
