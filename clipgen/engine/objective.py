"""From the losses and targets of a plan to the objective of its run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

from torch import Tensor

from clipgen.config.loss_settings import LossSettings
from clipgen.config.losses import kind_of_loss
from clipgen.config.plan import Plan
from clipgen.config.targets import APART, REGION, STYLE, SUM, WHOLE, TargetSettings
from clipgen.core.contracts import Loss, Moment, Perceptor, Proposal
from clipgen.core.losses import Objective, Targets, encode_targets
from clipgen.engine.models import Models
from clipgen.errors import UsageError
from clipgen.perceptors.aesthetic import load_head
from clipgen.perceptors.style import load_style_features
from clipgen.steering.aesthetic import aesthetic_loss
from clipgen.steering.given import Given
from clipgen.steering.losses import make_loss
from clipgen.steering.regions import region
from clipgen.steering.style import style_loss
from clipgen.steering.targets import Encoded, encoded, joined, scored
from clipgen.steering.vectors import Templated
from clipgen.weights.heads import AESTHETIC


def objective_of(plans: Sequence[Plan], models: Models, given: Given, proposal: Proposal | None) -> Objective:
    """Return the weighted losses: that of the prompt, then those of the proposal, of other targets, and the others."""
    plan = plans[0]
    files = _files(plan, given)
    own = [(row, image) for row, image in files if not (plan.blend == SUM and row.kind == WHOLE)]
    targets = targets_of(plans, models, given, [(row, image) for row, image in files if row.kind == WHOLE])
    extras = [(row, encoded(row, image, targets)) for row, image in own if row.kind not in (REGION, STYLE)]
    regions = [(row, image) for row, image in own if row.kind == REGION]
    seeds = [each.seed for each in plans]

    weights = {row.name: row.weight for row in plan.losses}
    pulling, added = targets, {}
    if proposal:
        pulling = replace(targets, weights=tuple(map(proposal.target_weights, targets.weights)))
        added = {name: (loss, weights["prompt"]) for name, loss in proposal.losses().items()}
    losses = {row.name: (_made(row, plan, models, pulling, given), row.weight) for row in plan.losses}
    first = {"prompt": losses.pop("prompt")} if "prompt" in losses else {}
    strength = weights["prompt"].start if "prompt" in weights else 1.0
    others = {f"{row.kind} {n}": (_Scaled(each, strength), row.weight) for n, (row, each) in enumerate(extras, 1)}
    for n, (row, mask) in enumerate(regions, 1):
        others[f"region {n}"] = _Scaled(region(row, mask, plan, seeds, targets, n), strength), row.weight
    styles = [(row, image) for row, image in own if row.kind == STYLE and image is not None]
    for n, (row, image) in enumerate(styles, 1):
        others[f"style {n}"] = _Scaled(style_loss(load_style_features(models.device), image), strength), row.weight
    return Objective({**first, **added, **others, **losses}, _by_score(targets, extras), needs_maps=bool(added))


def _made(row: LossSettings, plan: Plan, models: Models, targets: Targets, given: Given) -> Loss:
    """Build a loss of a plan. Raises WeightsMissingError if the network that it needs is not here."""
    kind = kind_of_loss("a loss", row.name)
    if kind.network != AESTHETIC:
        return make_loss(row, targets, given.init)
    return aesthetic_loss(load_head(models.device), [each.weights for each in plan.perceptors].index(kind.guide))


@dataclass(frozen=True)
class _Scaled:
    """A loss times the weight that the preset gives to a prompt."""

    loss: Loss
    strength: float

    def __call__(self, moment: Moment) -> Tensor:
        return self.strength * self.loss(moment)


def _files(plan: Plan, given: Given) -> list[tuple[TargetSettings, Tensor | None]]:
    """Return the targets of a plan, each with its image if it is a file."""
    if len(given.targets) != sum(row.is_file for row in plan.targets):
        raise UsageError("a plan that names target images must come with them")
    images = iter(given.targets)
    return [(row, next(images) if row.is_file else None) for row in plan.targets]


def targets_of(
    plans: Sequence[Plan], models: Models, given: Given, images: Sequence[tuple[TargetSettings, Tensor | None]]
) -> Targets:
    """Return the targets of the texts, joined as the plans have it; images: whole ones, which take part in a sum."""
    plan = plans[0]
    perceptors, shares = zip(*((guide.perceptor, guide.settings.weight) for guide in models.guides), strict=True)
    able = [plan.templates and getattr(each, "takes_images", True) for each in perceptors]
    encoders = [Templated(each) if use else each for each, use in zip(perceptors, able, strict=True)]
    readings = [[each.texts_of(k) for k in range(len(perceptors))] for each in plans]
    targets = encode_targets(
        cast(Sequence[Perceptor], encoders),
        shares,
        [each.prompts for each in plans],
        readings,
        models.device,
        plan.cross_fade,
    )
    targets = replace(targets, perceptors=perceptors)
    if plan.blend == APART:
        return targets
    return joined(targets, plan, given, [(row, image) for row, image in images if image is not None])


def _by_score(targets: Targets, extras: Sequence[tuple[TargetSettings, Encoded]]) -> Targets:
    """Return the targets that pictures are scored by: the texts alone, unless they weigh nothing."""
    return targets if any((each > 0).any() for each in targets.weights) else scored(targets, extras)
