"""What keeps the loop alive and affordable: models, memory, recovery from bad numbers, snapshots, growth."""
