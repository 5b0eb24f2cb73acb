"""Drawing with the unCLIP, one picture at a time and each in stages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from clipgen.config.settings import UnclipSettings
from clipgen.starter.unclip.layout import Layout
from clipgen.starter.unclip.sampler import Start, Steer
from clipgen.starter.unclip.unclip import Conditioning, Unclip, UnclipPerceptor
from clipgen.util.images import resized
from clipgen.util.randomness import generator_for

OnStage = Callable[[str], None]
"""Called before each stage with a plain description of it; what it raises ends the drawing."""


def ignore_stage(_name: str) -> None:
    """Take no notice."""


@dataclass(frozen=True, eq=False)
class Pipeline:
    """The networks with all that the pictures of a run share."""

    unclip: Unclip
    settings: UnclipSettings
    perceptors: Sequence[UnclipPerceptor]
    on_stage: OnStage = ignore_stage

    def draw(self, texts: Conditioning, seed: int) -> tuple[Tensor, Tensor]:
        """Return features (E,) of a picture of the texts, and the decoded picture (3, S, S) in [0, 1].

        Of all candidates it is the one whose decoded picture shows the texts best, see `_best`.
        """
        unclip, count = self.unclip, self.settings.candidates
        self.on_stage(f"proposing {count} candidates")
        features = self._features(texts, seed, self.settings.guidance_scale)
        coarse = unclip.coarse_decoder(features).clamp(0, 1)
        self.on_stage(f"decoding {count} candidates")
        noise = _noise(seed, "painting", (count, *unclip.decoder.shape)).to(texts.joined)
        images = unclip.decode(features, coarse, texts.vectors, texts.weights, noise, self.settings.decoder_scale)
        self.on_stage(f"choosing the best of {count} candidates")
        best = self._best(images, texts)
        return features[best], images[best]

    def draw_near(self, image: Tensor, texts: Conditioning, seed: int) -> Tensor:
        """Return features (E,) of a picture of the texts that keeps to an image (3, H, W) in [0, 1].

        Nothing is decoded, as there is a picture already. Of all candidates it is the one whose coarse picture the
        perceptors score best: the prior has not learned what they see in coarse pictures.
        """
        count = self.settings.candidates
        self.on_stage(f"proposing {count} candidates near the init image")
        start = Start(self._seen(image[None])[0], self.settings.init_noise)
        features = self._features(texts, seed, self.settings.init_guidance_scale, start)
        coarse = self.unclip.coarse_decoder(features).clamp(0, 1)
        self.on_stage(f"choosing the best of {count} candidates")
        vectors = [each.encode_images(each.whole(coarse)) for each in self.perceptors]
        pairs = zip(vectors, texts.states, strict=True)
        scores = torch.stack([vector @ states[:, 0].T @ texts.weights for vector, states in pairs]).mean(0)
        return features[scores.argmax()]

    def draw_over(self, image: Tensor, texts: Conditioning, seed: int) -> tuple[Tensor, Tensor]:
        """Return features (E,) of a picture of the texts that is laid out like an image (3, H, W), and that picture.

        The prior is led to the layout. Of its candidates those nearest in layout are decoded, denoised from the image
        with noise (SDEdit), and the one that shows the texts best is upsampled: (3, 2 S, 2 S) in [0, 1].
        """
        unclip, settings, layout = self.unclip, self.settings, Layout(image)
        self.on_stage(f"proposing {settings.candidates} candidates laid out like the init image")

        def distance(features: Tensor) -> Tensor:
            return layout.distance(unclip.coarse_decoder(features))

        steer = Steer(distance, settings.layout_guidance)
        features = self._features(texts, seed, settings.guidance_scale, steer=steer)
        count = min(settings.img2img_candidates, settings.candidates)
        nearest = distance(features).topk(count, largest=False).indices
        self.on_stage(f"img2img with {count} candidates")
        coarse = layout.mixed_into(unclip.coarse_decoder(features[nearest]).clamp(0, 1), settings.layout_share)
        start = Start(self._latents(image), settings.init_img2img_noise)
        noise = _noise(seed, "painting", (count, *unclip.decoder.shape)).to(texts.vectors)
        given = texts.vectors, texts.weights
        images = unclip.decode(features[nearest], coarse, *given, noise, settings.decoder_scale, start)
        best = self._best(images, texts)
        chosen = features[nearest[best]]
        return chosen, self._upsampled(images[best], chosen, texts, seed)

    def enlarge(self, image: Tensor, features: Tensor, texts: Conditioning, seed: int) -> Tensor:
        """Return an image (3, H, W) in [0, 1], drawn anew with its features (E,) and texts: (3, 2 S, 2 S) in [0, 1].

        Img2img at the decoder's size (S, S), then upsampling, each with the best of its candidates.
        """
        unclip, settings = self.unclip, self.settings
        count = settings.img2img_candidates
        self.on_stage(f"img2img with {count} candidates")
        start = Start(self._latents(image), settings.img2img_noise)
        noise = _noise(seed, "repainting", (count, *unclip.decoder.shape)).to(texts.vectors)
        coarse = unclip.coarse_decoder(features[None]).clamp(0, 1)
        same = _repeated(features[None], coarse, count)
        decoded = unclip.decode(*same, texts.vectors, texts.weights, noise, settings.decoder_scale, start)
        best = self._best(decoded, texts)
        return self._upsampled(decoded[best], features, texts, seed)

    def _latents(self, image: Tensor) -> Tensor:
        """Return the latents (1, D, h, w) of an image (3, H, W) at the size of the decoder."""
        autoencoder = self.unclip.autoencoder
        side = autoencoder.stride * self.unclip.decoder.shape[-1]
        return autoencoder.encode(resized(image[None], (side, side)))

    def _upsampled(self, image: Tensor, features: Tensor, texts: Conditioning, seed: int) -> Tensor:
        """Return an image (3, S, S) in [0, 1] upsampled with its features (E,): (3, 2 S, 2 S), the best of some."""
        unclip, settings = self.unclip, self.settings
        count = settings.upsampler_candidates
        self.on_stage(f"upsampling with {count} candidates")
        noise = _noise(seed, "upsampling", (count, *unclip.upsampler.shape)).to(texts.vectors)
        same = _repeated(features[None], image[None], count)
        large = unclip.upsample(*same, texts.vectors, texts.weights, noise, settings.upsampler_scale)
        return large[self._best(large, texts)]

    def _features(
        self,
        texts: Conditioning,
        seed: int,
        guidance_scale: float,
        start: Start | None = None,
        steer: Steer | None = None,
    ) -> Tensor:
        """Draw the features (candidates, E)."""
        prior = self.unclip.prior
        noise = _noise(seed, "imagination", (self.settings.candidates, prior.length)).to(texts.joined)
        return prior.sample(texts.joined, texts.weights, noise, guidance_scale, start, steer)

    def _seen(self, images: Tensor) -> Tensor:
        """Return the features (B, E) of images (B, 3, H, W)."""
        return self.unclip.prior.shorten([each.encode_with_maps(each.whole(images))[1] for each in self.perceptors])

    def _best(self, images: Tensor, texts: Conditioning) -> Tensor:
        """Return which of images (B, 3, H, W) shows the texts best: its number.

        Reranking, as in DALL-E (Ramesh et al., 2021, section 2.6), but by the prior as a classifier: the perceptors'
        own scores prefer pleasing colours, such as violet behind whatever a text names, to clear shapes.
        """
        scores = self.unclip.prior.classifier_score(self._seen(images), texts.joined, texts.weights)
        return scores.argmax()


def _noise(seed: int, stream: str, shape: tuple[int, ...]) -> Tensor:
    return torch.randn(shape, generator=generator_for(seed, 0, stream))


def _repeated(features: Tensor, image: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Repeat features (1, E) and an image (1, 3, H, W) for each of `count` candidates."""
    return features.expand(count, -1), image.expand(count, -1, -1, -1)
