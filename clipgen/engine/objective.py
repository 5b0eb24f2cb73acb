"""From a plan to what its run minimises."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from clipgen.config.plan import Plan
from clipgen.core.contracts import Proposal
from clipgen.core.losses import Objective, Targets
from clipgen.steering.losses import make_loss


def objective_of(plan: Plan, targets: Targets, images: Tensor | None, proposal: Proposal | None) -> Objective:
    """Return the weighted losses: that of the prompt, then those of the proposal, then the others.

    images (B, 3, H, W) in [0, 1]: the init images, if there are any.
    """
    weights = {row.name: row.weight for row in plan.losses}
    pulling, added = targets, {}
    if proposal:
        pulling = replace(targets, weights=tuple(map(proposal.target_weights, targets.weights)))
        added = {name: (loss, weights["prompt"]) for name, loss in proposal.losses().items()}
    losses = {row.name: (make_loss(row, pulling, images), row.weight) for row in plan.losses}
    first = {"prompt": losses.pop("prompt")} if "prompt" in losses else {}
    return Objective({**first, **added, **losses}, targets, needs_maps=bool(added))
