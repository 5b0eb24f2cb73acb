"""What was asked for, as data: prompts, jobs, presets, and the plan in which nothing is left open. Torch-free."""
