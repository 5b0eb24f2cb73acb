"""Drawing with the unCLIP, one picture at a time and each in stages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from clipgen.config.settings import UnclipSettings
from clipgen.starter.unclip.canvas import canvas, extended, middle
from clipgen.starter.unclip.decoder import Decoder
from clipgen.starter.unclip.layout import Layout
from clipgen.starter.unclip.sampler import Method, Start, Steer
from clipgen.starter.unclip.unclip import Conditioning, Unclip, UnclipPerceptor
from clipgen.util.images import resized
from clipgen.util.randomness import generator_for

SQUARE = (1, 1)
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
    size: tuple[int, int] = SQUARE
    """Width and height of the pictures of the run, of which the aspect ratio counts."""

    def draw(self, texts: Conditioning, seed: int) -> tuple[Tensor, Tensor]:
        """Return features (E,) of a square picture of the texts, and the picture (3, H, W) in [0, 1], decoded.

        Of all candidates it is the one whose decoded picture shows the texts best, see `_best`. A picture that is not
        square has this one in its middle.
        """
        unclip, count = self.unclip, self.settings.candidates
        method = self._method(self.settings.decoder_scale)
        self.on_stage(f"proposing {count} candidates")
        features = self._features(texts, seed, self.settings.guidance_scale)
        coarse = unclip.coarse_decoder(features).clamp(0, 1)
        self.on_stage(f"decoding {count} candidates")
        noise = _noise(seed, "painting", (count, *unclip.decoder.shape)).to(texts.joined)
        images = unclip.decode(features, coarse, texts.vectors, texts.weights, noise, method)
        self.on_stage(f"choosing the best of {count} candidates")
        best = self._best(images, texts)
        if self._canvas == unclip.decoder.shape[1:]:
            return features[best], images[best]
        self.on_stage("extending the best")
        around = _noise(seed, "extending", (1, *self._shape(unclip.decoder))).to(noise)
        middle(around).copy_(noise[best])
        coarse = self._extended(coarse[best, None])
        one = features[best, None]
        wide = unclip.decode(one, coarse, texts.vectors, texts.weights, around, method)
        return features[best], wide[0]

    def target(self, features: Tensor, image: Tensor) -> Tensor:
        """Return the features (E,) that guide the run, of what `draw` returns.

        Perceptors squeeze pictures to squares, so that these are seen in the picture, if it is not square.
        """
        return features if self._canvas == self.unclip.decoder.shape[1:] else self._seen(image[None])[0]

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
        """Return features (E,) of a picture of the texts laid out like the middle of an image (3, H, W), and a picture.

        The prior is led to the layout. Of its candidates those nearest in layout are decoded, denoised from the image
        with noise (SDEdit), and the one that shows the texts best is upsampled: (3, h, w) in [0, 1].
        """
        unclip, settings, small = self.unclip, self.settings, self._on_canvas(image)
        self.on_stage(f"proposing {settings.candidates} candidates laid out like the init image")
        layout = Layout(middle(small)[0])

        def distance(features: Tensor) -> Tensor:
            return layout.distance(unclip.coarse_decoder(features))

        steer = Steer(distance, settings.layout_guidance)
        features = self._features(texts, seed, settings.guidance_scale, steer=steer)
        count = min(self._affordable(settings.img2img_candidates), settings.candidates)
        nearest = features[distance(features).topk(count, largest=False).indices]
        self.on_stage(f"img2img with {count} candidates")
        coarse = self._extended(unclip.coarse_decoder(nearest).clamp(0, 1))
        coarse = Layout(small[0]).mixed_into(coarse, settings.layout_share)
        start = Start(unclip.autoencoder.encode(small), settings.init_img2img_noise)
        noise = _noise(seed, "painting", (count, *self._shape(unclip.decoder))).to(texts.vectors)
        images = unclip.decode(
            nearest, coarse, texts.vectors, texts.weights, noise, self._method(settings.decoder_scale), start
        )
        best = self._best(images, texts)
        return nearest[best], self._upsampled(images[best], nearest[best], texts, seed)

    def enlarge(self, image: Tensor, features: Tensor, texts: Conditioning, seed: int) -> Tensor:
        """Return an image (3, H, W) in [0, 1], drawn anew with its features (E,) and texts: (3, h, w) in [0, 1].

        Img2img at the decoder's size, then upsampling to twice that, each with the best of its candidates. The features
        are those of the square in its middle.
        """
        unclip, settings = self.unclip, self.settings
        count = self._affordable(settings.img2img_candidates)
        self.on_stage(f"img2img with {count} candidates")
        start = Start(unclip.autoencoder.encode(self._on_canvas(image)), settings.img2img_noise)
        noise = _noise(seed, "repainting", (count, *self._shape(unclip.decoder))).to(texts.vectors)
        coarse = self._extended(unclip.coarse_decoder(features[None]).clamp(0, 1))
        same = _repeated(features[None], coarse, count)
        decoded = unclip.decode(*same, texts.vectors, texts.weights, noise, self._method(settings.decoder_scale), start)
        return self._upsampled(decoded[self._best(decoded, texts)], features, texts, seed)

    def _on_canvas(self, image: Tensor) -> Tensor:
        """Return an image (3, H, W) at the size of what the decoder draws: (1, 3, h, w)."""
        height, width = (self.unclip.autoencoder.stride * cells for cells in self._canvas)
        return resized(image[None], (width, height))

    def _upsampled(self, image: Tensor, features: Tensor, texts: Conditioning, seed: int) -> Tensor:
        """Return an image (3, h, w) in [0, 1] upsampled with its features (E,): (3, 2 h, 2 w), the best of some."""
        unclip, settings = self.unclip, self.settings
        count = self._affordable(settings.upsampler_candidates)
        self.on_stage(f"upsampling with {count} candidates")
        noise = _noise(seed, "upsampling", (count, *self._shape(unclip.upsampler))).to(texts.vectors)
        same = _repeated(features[None], image[None], count)
        large = unclip.upsample(*same, texts.vectors, texts.weights, noise, self._method(settings.upsampler_scale))
        return large[self._best(large, texts)]

    def _method(self, scale: float) -> Method:
        """Return how a network draws with a guidance scale."""
        return Method(scale, self.settings.solver)

    def _seen(self, images: Tensor) -> Tensor:
        """Return the features (B, E) of images (B, 3, H, W)."""
        return self.unclip.prior.shorten([each.encode_with_maps(each.whole(images))[1] for each in self.perceptors])

    @property
    def _canvas(self) -> tuple[int, int]:
        """Height and width of what is drawn, in latent cells of the decoder."""
        return canvas(self.size, self.unclip.decoder.shape[-1])

    def _shape(self, decoder: Decoder) -> tuple[int, int, int]:
        """Return the shape of a picture's noise for the decoder, or the upsampler."""
        height, width = (cells * decoder.shape[-1] // self.unclip.decoder.shape[-1] for cells in self._canvas)
        return decoder.shape[0], height, width

    def _extended(self, coarse: Tensor) -> Tensor:
        """Return coarse pictures (B, 3, S, S) in the shape of the canvas."""
        height, width = (cells * coarse.shape[-1] // self.unclip.decoder.shape[-1] for cells in self._canvas)
        return extended(coarse, (height, width))

    def _affordable(self, candidates: int) -> int:
        """Return as many candidates as take no longer than this many square ones, at least one."""
        height, width = self._canvas
        return max(round(candidates * min(height, width) / max(height, width)), 1)

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
        return prior.sample(texts.joined, texts.weights, noise, self._method(guidance_scale), start, steer)

    def _best(self, images: Tensor, texts: Conditioning) -> Tensor:
        """Return which of images (B, 3, H, W) shows the texts best in its middle: its number.

        Reranking, as in DALL-E (Ramesh et al., 2021, section 2.6), but by the prior as a classifier: the perceptors'
        own scores prefer pleasing colours, such as violet behind whatever a text names, to clear shapes.
        """
        scores = self.unclip.prior.classifier_score(self._seen(middle(images)), texts.joined, texts.weights)
        return scores.argmax()


def _noise(seed: int, stream: str, shape: tuple[int, ...]) -> Tensor:
    return torch.randn(shape, generator=generator_for(seed, 0, stream))


def _repeated(features: Tensor, image: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Repeat features (1, E) and an image (1, 3, H, W) for each of `count` candidates."""
    return features.expand(count, -1), image.expand(count, -1, -1, -1)
