"""The images and tokens that a run is given, loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clipgen.steering.given import Given

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import device

    from clipgen.util.tokens import TokenGrid


@dataclass(frozen=True)
class Inputs:
    """The loaded images and tokens of one plan."""

    init: Image | None = None
    """RGB, already extended."""
    mask: Image | None = None
    """Grey (mode L), of the size of `init`: what is white there may change."""
    begun: Image | None = None
    """RGB: where the latent begins, if not at the init image, to which the picture is then held."""
    overlay: Image | None = None
    """RGBA: what is laid over the picture."""
    tokens: TokenGrid | None = None
    """The codes that the latent begins at."""
    targets: tuple[Image, ...] = ()
    """RGB, for each target of the plan that is a file, in their order; masks of regions are grey."""

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height of the init image; None without one."""
        return self.init.size if self.init else None

    @classmethod
    def of(cls, given: Inputs | Image | None) -> Inputs:
        """Return inputs as they are; an image alone is an init image."""
        return given if isinstance(given, Inputs) else cls(given)


def given_by(inputs: Sequence[Inputs], size: tuple[int, int], on: device) -> Given:
    """Return the images of pictures of `size` (width, height) that are made together; all or none have an init image.

    They have the same tokens and targets.
    """
    import torch

    from clipgen.util.images import as_tensor, to_tensor

    inits = [to_tensor(each.init, size).to(on) for each in inputs if each.init]
    masks = [to_tensor(each.mask, size).to(on) for each in inputs if each.mask]
    begun = [to_tensor(each.begun or each.init, size).to(on) for each in inputs if each.init]
    targets = tuple(as_tensor(image).to(on) for image in inputs[0].targets)
    init, mask, begin = (torch.cat(images) if images else None for images in (inits, masks, begun))
    over = inputs[0].overlay
    laid = to_tensor(over, size).to(on) if over else None
    grid = inputs[0].tokens
    tokens = torch.from_numpy(grid.codes).long()[None].to(on) if grid else None
    return Given(init, mask, begin if any(each.begun for each in inputs) else None, laid, tokens, targets)
