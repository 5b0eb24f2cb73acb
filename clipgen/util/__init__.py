"""Shared utilities: text for terminals, atomic files, image reading and conversion, devices, interrupts, randomness."""
