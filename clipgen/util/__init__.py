"""What every room may use: text for terminals, atomic files, pictures in and out, devices, interrupts, randomness."""
