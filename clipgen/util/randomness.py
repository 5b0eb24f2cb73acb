"""Randomness as a function of (seed, step): the only source of random numbers in a run."""

import hashlib

from torch import Generator


def generator_for(seed: int, step: int, stream: str) -> Generator:
    """Return a CPU generator that depends on nothing but its arguments.

    `stream` separates the draws of different parts of a run. The arguments are hashed because consecutive seeds may
    give correlated streams, and because seed + step would give neighbouring seeds the same draws one step later.
    """
    digest = hashlib.blake2b(f"{stream}/{seed}/{step}".encode(), digest_size=8).digest()
    return Generator("cpu").manual_seed(int.from_bytes(digest) >> 1)
