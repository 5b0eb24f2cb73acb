"""What was asked for, as data: prompts, jobs, presets, and plans that leave nothing open. Torch-free."""
