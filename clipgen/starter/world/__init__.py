"""Pictures drawn by code, of which it is known what they show."""
