"""How a finished picture is enlarged. Torch-free."""

MAX_PIXELS = 50_000_000
"""Of a picture that was enlarged: as many as clipgen reads of any picture."""
