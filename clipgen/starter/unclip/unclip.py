"""What a picture of a text may be: what the perceptors would see in it, and how it may look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from clipgen.config.presets import FeaturePriorSettings
from clipgen.generators.networks import VQGANNetwork
from clipgen.perceptors.clip import Perceptor
from clipgen.starter.unclip.coarse import Sketcher
from clipgen.starter.unclip.decoder import Over, Painter
from clipgen.starter.unclip.prior import FeaturePrior, Start
from clipgen.util.images import resized
from clipgen.util.randomness import generator_for


@dataclass(frozen=True)
class Imaginer:
    """The networks that imagine."""

    prior: FeaturePrior
    sketcher: Sketcher
    painter: Painter
    upsampler: Painter
    """Goes by paintings where the painter goes by sketches."""
    decoder: VQGANNetwork
    """Makes pictures of the latents of both."""

    def paint(
        self,
        features: Tensor,
        sketches: Tensor,
        texts: Tensor,
        shares: Tensor,
        noise: Tensor,
        scale: float,
        over: Over | None = None,
    ) -> Tensor:
        """Pictures (B, 3, H, W) in [0, 1] of what `Painter.paint` draws."""
        return self._decoded(self.painter.paint(features, sketches, texts, shares, noise, scale, over))

    def upsample(
        self, features: Tensor, paintings: Tensor, texts: Tensor, shares: Tensor, noise: Tensor, scale: float
    ) -> Tensor:
        """Paintings (B, 3, S, S) with the detail that they had no room for: (B, 3, 2 S, 2 S) in [0, 1].

        As in cascaded diffusion models (Ho et al., 2021, arXiv 2106.15282).
        """
        return self._decoded(self.upsampler.paint(features, paintings, texts, shares, noise, scale))

    def _decoded(self, latents: Tensor) -> Tensor:
        return self.decoder.decode(self.decoder.lookup(self.decoder.nearest(latents))).clamp(0, 1)


@dataclass(frozen=True)
class Imagination:
    """An imaginer at work for the pictures of a run."""

    imaginer: Imaginer
    settings: FeaturePriorSettings
    images: Tensor | None = None
    """(B, 3, H, W), where pictures start at init images: what is imagined keeps to them."""

    def imagine(
        self, row: int, perceptors: Sequence[Perceptor], texts: Sequence[Tensor], shares: Tensor, seed: int
    ) -> tuple[Tensor, Tensor]:
        """Return features (E,) of one picture of texts, and a painting (3, H, W) of it in [0, 1].

        texts: for each perceptor, as it reads them, (K, 1 + T, D); shares (K,) as `sampler.told` has them. Of
        several it is the one whose painting shows the texts best, see `_best`. With an image to start at nothing is
        painted: it is the one whose sketch the perceptors like best, and that sketch; the prior has not learned what
        they see in sketches.
        """
        joined = torch.cat(list(texts), 2)
        prior, start, settings = self.imaginer.prior, self._start(row, perceptors), self.settings
        noise = _noise(seed, "imagination", (settings.candidates, prior.length)).to(joined)
        features = prior.imagine(joined, shares, noise, settings.init_scale if start else settings.scale, start)
        sketches = self.imaginer.sketcher(features).clamp(0, 1)
        if start:  # the picture is there already
            best = _shown([each.encode_images(each.whole(sketches)) for each in perceptors], texts, shares).argmax()
            return features[best], sketches[best]
        noise = _noise(seed, "painting", (len(features), *self.imaginer.painter.shape)).to(joined)
        paintings = self.imaginer.paint(features, sketches, joined[:, 0], shares, noise, settings.painting_scale)
        best = self._best(paintings, perceptors, texts, shares)
        return features[best], paintings[best]

    def repaint(
        self,
        image: Tensor,
        features: Tensor,
        perceptors: Sequence[Perceptor],
        texts: Sequence[Tensor],
        shares: Tensor,
        seed: int,
    ) -> Tensor:
        """Paint features (E,) of texts over an image (3, H, W), which shows through: (3, 2 S, 2 S) in [0, 1].

        perceptors, texts and shares as for `imagine`. Of several paintings (3, S, S) the best is upsampled, and of
        several ways to do so the best is taken.
        """
        imaginer, settings = self.imaginer, self.settings
        vectors = torch.cat(list(texts), 2)[:, 0]
        side = imaginer.decoder.stride * imaginer.painter.shape[-1]
        small = resized(image[None], (side, side))
        over = Over(imaginer.decoder.encode(small), settings.repaint_noise)
        noise = _noise(seed, "repainting", (settings.repaintings, *imaginer.painter.shape)).to(vectors)
        told, sketch = features[None], imaginer.sketcher(features[None]).clamp(0, 1)
        paintings = imaginer.paint(*_each(noise, told, sketch), vectors, shares, noise, settings.painting_scale, over)
        best = self._best(paintings, perceptors, texts, shares)
        noise = _noise(seed, "upsampling", (settings.upsamplings, *imaginer.upsampler.shape)).to(vectors)
        same = _each(noise, told, paintings[best, None])
        upsampled = imaginer.upsample(*same, vectors, shares, noise, settings.upsampling_scale)
        return upsampled[self._best(upsampled, perceptors, texts, shares)]

    def _best(self, images: Tensor, perceptors: Sequence[Perceptor], texts: Sequence[Tensor], shares: Tensor) -> Tensor:
        """Return which of images (B, 3, H, W) shows the texts best: its number.

        Reranking, as in DALL-E (Ramesh et al., 2021, section 2.6), by the prior's evidence. The perceptors' own scores
        prefer colours that please, violet behind whatever a text names, to shapes that are clear.
        """
        maps = [each.see(each.whole(images))[1] for each in perceptors]
        prior = self.imaginer.prior
        return prior.evidence(prior.shorten(maps), torch.cat(list(texts), 2), shares).argmax()

    def _start(self, row: int, perceptors: Sequence[Perceptor]) -> Start | None:
        """Return the features of the image that the picture starts at, if it does."""
        if self.images is None:
            return None
        image = self.images[row : row + 1]
        features = self.imaginer.prior.shorten([each.see(each.whole(image))[1] for each in perceptors])
        return Start(features[0], self.settings.init_noise)


def _shown(vectors: Sequence[Tensor], texts: Sequence[Tensor], shares: Tensor) -> Tensor:
    """Return how much of texts (K, 1 + T, D) there is in what each perceptor sees, unit vectors (B, D): (B,)."""
    return torch.stack([seen @ said[:, 0].T @ shares for seen, said in zip(vectors, texts, strict=True)]).mean(0)


def _noise(seed: int, purpose: str, shape: tuple[int, ...]) -> Tensor:
    return torch.randn(shape, generator=generator_for(seed, 0, purpose))


def _each(noise: Tensor, features: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
    """Repeat features (1, E) and an image (1, 3, H, W) for each noise (B, ...)."""
    return features.expand(len(noise), -1), image.expand(len(noise), -1, -1, -1)
