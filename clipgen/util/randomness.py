"""Randomness as a function of (seed, step): the only source of random numbers in a run."""

import hashlib

import torch
from torch import Generator


def generator_for(seed: int, step: int, stream: str, device: torch.device | str = "cpu") -> Generator:
    """Return a generator that depends on nothing but its arguments; each kind of device draws other numbers.

    `stream` separates the draws of different parts of a run. The arguments are hashed because consecutive seeds may
    give correlated streams, and because seed + step would give neighbouring seeds the same draws one step later.
    What is small is drawn on the CPU, whatever the device; noise of the size of a picture takes longer to draw there
    and to copy than a GPU takes for a step.
    """
    digest = hashlib.blake2b(f"{stream}/{seed}/{step}".encode(), digest_size=8).digest()
    return Generator(device).manual_seed(int.from_bytes(digest) >> 1)
