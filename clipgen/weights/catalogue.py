"""The table of all pretrained weights that can be downloaded, and the networks made from them.

A record has a sha256 only where someone who had the file published it; other files must be trusted on first use.
"""

from __future__ import annotations

from clipgen.errors import unknown_value
from clipgen.weights.autoencoders import DALL_E_PARTS, VQGANS
from clipgen.weights.clips import OPENAI
from clipgen.weights.continuous import CONTINUOUS
from clipgen.weights.dalle_mini import DALLE_MINI_PARTS, DALLE_MINI_VQGAN, DALLE_MINIS, TEXT_TOKENIZERS
from clipgen.weights.heads import HEADS
from clipgen.weights.laion_clips import LAION, PREFERENCE
from clipgen.weights.latent_diffusion import LATENT_DIFFUSION
from clipgen.weights.modern_clips import MODERN
from clipgen.weights.one_d_tokenizers import TITOKS
from clipgen.weights.packaged import PACKAGED, comes_with_package
from clipgen.weights.records import Record
from clipgen.weights.tokenizers import TOKENIZERS
from clipgen.weights.upscaler_records import UPSCALERS

CLIPS = (*OPENAI, *LAION, PREFERENCE, *MODERN)
AUTOENCODERS = (*VQGANS, DALLE_MINI_VQGAN, *TOKENIZERS, *LATENT_DIFFUSION, *DALL_E_PARTS, *CONTINUOUS, *TITOKS)

PRIORS = (*DALLE_MINIS, *TEXT_TOKENIZERS)

RECORDS: dict[str, Record] = {record.name: record for record in (*AUTOENCODERS, *PRIORS, *CLIPS, *HEADS, *UPSCALERS)}
"""Every file that can be downloaded, by name."""

IN_PARTS: dict[str, tuple[str, ...]] = {
    "dvae/dall-e": ("dvae/dall-e-encoder", "dvae/dall-e-decoder"),
    **DALLE_MINI_PARTS,
}
"""The networks that come in several files -> the names of these; any other network has the name of its one file."""


def find_record(name: str) -> Record:
    """Return a record by its name. Raises UsageError with the nearest name if there is none.

    For a network that comes with a package, the error says so.
    """
    if name in PACKAGED:
        raise comes_with_package(name)
    if name not in RECORDS:
        raise unknown_value("NAME", name, (*RECORDS, *PACKAGED))
    return RECORDS[name]


def files_of(network: str) -> tuple[Record, ...]:
    """Return the records of a network's files. Raises UsageError with the nearest name if there is no such network."""
    return tuple(find_record(name) for name in IN_PARTS.get(network, (network,)))


def forms_of(record: Record) -> tuple[Record, ...]:
    """Return the records of all files with the weights of one, in the order in which they are to be tried."""
    better = (one for one in RECORDS.values() if one.instead_of == record.network)
    return (*better, RECORDS[record.network])
