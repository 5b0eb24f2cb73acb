"""What a user should know about a run: notes and warnings, one line each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from clipgen.config.plan import Plan
from clipgen.util.text import one_line
from clipgen.weights.catalogue import files_of
from clipgen.weights.registry import is_own

if TYPE_CHECKING:
    from clipgen.engine.models import Models

MAX_LABEL = 100


def truncation_warnings(plan: Plan, models: Models) -> Iterator[str]:
    """Warn about each text that is longer than the context of the first CLIP that guides."""
    limits = [(k, getattr(guide.perceptor, "tokens_over_limit", None)) for k, guide in enumerate(models.guides)]
    for k, limit in [row for row in limits if row[1]][:1]:
        for heard in plan.texts_of(k):
            if limit and (over := limit(heard)) > 0:
                text = one_line(heard, MAX_LABEL)
                yield f'warning: the last words of "{text}" are ignored: it is {over} tokens too long'


def licences(plan: Plan) -> Iterator[str]:
    """Name the networks in use that were downloaded, each with its licence; `clipgen models list` has those of all."""
    for name in plan.networks:
        if not is_own(name):
            yield f"{name}: {files_of(name)[0].licence}"


def warnings_of(plan: Plan, models: Models) -> Iterator[str]:
    """Name the licences of the models of a plan, and warn about texts that are too long."""
    yield from licences(plan)
    yield from truncation_warnings(plan, models)
