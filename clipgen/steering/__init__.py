"""What a picture can be asked for beside the prompt."""
