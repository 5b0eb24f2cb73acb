"""What a user should know of a run, in one line each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from clipgen.config.job import Job
from clipgen.config.presets import STARTER
from clipgen.config.resolving import networks_of
from clipgen.starter.words import unknown_words
from clipgen.util.text import one_line
from clipgen.weights.catalogue import files_of
from clipgen.weights.registry import is_own

if TYPE_CHECKING:
    from clipgen.engine.cost import Models

MAX_LABEL = 100
MAX_STRANGE_WORDS = 10


def spared(record: Mapping[str, object]) -> Iterator[str]:
    """Say that memory was short, where it was."""
    if at_once := record.get("views_at_once"):
        yield f"memory was short: the views were looked at {at_once} at a time, which takes longer"


def unread_words(job: Job, models: Models) -> Iterator[str]:
    """Warn of each text that is longer than the models read."""
    reader = models.perceptors[0].perceptor
    for prompt in job.prompts:
        if over := reader.tokens_over_limit(prompt.text):
            text = one_line(prompt.text, MAX_LABEL)
            yield f'warning: the last words of "{text}" are not read: it is {over} tokens too long'


def terms(job: Job) -> Iterator[str]:
    """Name the published networks that are used, with what is known of their terms."""
    for name in networks_of(job):
        if not is_own(name):
            yield f"{name}: {files_of(name)[0].licence}"


def strange_words(job: Job) -> Iterator[str]:
    """Warn of the words that the starter models have never met."""
    if job.preset != STARTER:
        return
    strange = unknown_words(" ".join(prompt.text for prompt in job.prompts), MAX_STRANGE_WORDS + 1)
    for word, nearest in strange[:MAX_STRANGE_WORDS]:
        hint = f'; the nearest that it knows is "{nearest}"' if nearest else ""
        yield f'warning: the starter set does not know the word "{word}"{hint}'
    if len(strange) > MAX_STRANGE_WORDS:
        yield "warning: there are more words that the starter set does not know"
