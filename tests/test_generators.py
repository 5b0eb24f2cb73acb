import pytest
import torch
from fakes import FAKE_SEQUENCE, NETWORKS, PALETTE, STRIDE, TITOK_SIDE, FakeDVAE, FakeVQGAN
from fakes import size_of as fitting
from torch import Tensor, nn

from clipgen import generators
from clipgen.config.presets import BACKENDS
from clipgen.config.sequences import SEQUENCES
from clipgen.config.settings import GeneratorSettings
from clipgen.config.strokes import STROKES, StrokeSettings
from clipgen.core.contracts import Encoder, Generator, Growable
from clipgen.errors import UsageError
from clipgen.generators import GENERATORS
from clipgen.generators.clamp import clamp_with_grad

SIZE = (48, 32)
CPU = torch.device("cpu")

DECORRELATED = "decorrelated"  # pixels in the space of colours that are not correlated

every_backend = pytest.mark.parametrize("backend", GENERATORS)
exact_backends = pytest.mark.parametrize("backend", [name for name in GENERATORS if name != STROKES])
every_generator = pytest.mark.parametrize("backend", [*GENERATORS, DECORRELATED])
exact_encoders = pytest.mark.parametrize("backend", [name for name in (*GENERATORS, DECORRELATED) if name != STROKES])


def create(
    backend: str, batch: int, size: tuple[int, int] | None = None, levels: int = 1, network: nn.Module | None = None
) -> Generator:
    decorrelated = backend == DECORRELATED
    name = "pixels" if decorrelated else backend
    stride = {"pixels": 1, "titok": TITOK_SIDE}.get(name, STRIDE)
    sequence = FAKE_SEQUENCE if name == "titok" else ()
    strokes = (StrokeSettings.of(16),) if name == STROKES else ()
    settings = GeneratorSettings("", stride, levels, decorrelated=decorrelated, sequence=sequence, strokes=strokes)
    return generators.create(name, network or NETWORKS[name](), CPU, batch, size or fitting(name), settings)


def started(backend: str, seeds: tuple[int, ...] = (0,), step: int = 0) -> Generator:
    generator = create(backend, len(seeds))
    generator.start_from_noise_(seeds)
    generator.set_step(step, 10, seeds)
    return generator


def blocks(backend: str) -> Tensor:
    """Two pictures of cells in colours of the palette."""
    width, height = fitting(backend)
    shape = (2, height // STRIDE, width // STRIDE)
    codes = torch.randint(len(PALETTE), shape, generator=torch.Generator().manual_seed(3))
    return PALETTE[codes].movedim(-1, 1).repeat_interleave(STRIDE, 2).repeat_interleave(STRIDE, 3)


def test_the_clamp_keeps_exactly_the_gradient_that_leads_back() -> None:
    pixels = torch.tensor([-0.5, -0.5, 0.5, 0.5, 1.5, 1.5], requires_grad=True)
    gradient = torch.tensor([1.0, -1, 1, -1, 1, -1])
    clamped = clamp_with_grad(pixels)
    clamped.backward(gradient)
    assert clamped.tolist() == [0, 0, 0.5, 0.5, 1, 1]
    # Descent moves against the gradient: up from below the range, down from above it.
    assert pixels.grad is not None
    assert pixels.grad.tolist() == [0, -1, 1, -1, 1, 0]


def test_every_backend_that_a_job_can_name_has_a_generator_and_the_other_way_round() -> None:
    assert set(GENERATORS) == set(BACKENDS)


@every_generator
def test_every_generator_can_start_from_an_image_and_but_for_sequences_be_made_for_another_size(backend: str) -> None:
    generator = started(backend, (1, 2))
    assert isinstance(generator, Encoder)
    assert isinstance(generator, Growable) == (backend not in SEQUENCES)
    if not isinstance(generator, Growable):
        return
    large = generator.at_size((96, 64))
    large.start_from_noise_((1, 2))
    large.set_step(0, 10, (1, 2))
    assert large.decode().shape == (2, 3, 64, 96)


@every_generator
def test_the_tensors_of_a_generator_copied_into_another_make_the_same_pictures(backend: str) -> None:
    generator, other = started(backend, (1, 2), 4), create(backend, 2)
    with torch.no_grad():
        generator.parameters()[0].add_(0.1)
        for name, tensor in other.tensors().items():
            tensor.copy_(generator.tensors()[name])
    other.set_step(4, 10, (1, 2))
    assert torch.equal(other.decode(), generator.decode())
    assert torch.equal(other.distance_to_start(), generator.distance_to_start())


def test_an_unknown_backend_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean vqgan"):
        generators.create("vqgn", nn.Module(), CPU, 1, SIZE, GeneratorSettings("", 1, 1))


@every_generator
def test_pictures_have_the_size_and_the_range_that_was_asked_for(backend: str) -> None:
    image = started(backend, (1, 2, 3)).decode().detach()
    assert image.shape == (3, 3, *reversed(fitting(backend)))
    assert 0 <= image.min() < image.max() <= 1


@every_generator
def test_a_picture_depends_on_its_own_seed_only(backend: str) -> None:
    for step in (0, 5):
        together = started(backend, (1, 2, 1), step).decode().detach()
        assert torch.equal(together[0], together[2])
        assert not torch.equal(together[0], together[1])
        assert torch.equal(together[1:2], started(backend, (2,), step).decode())


@every_generator
def test_the_global_random_state_is_neither_used_nor_touched(backend: str) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = started(backend, (5,), 3).decode()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(first, started(backend, (5,), 3).decode())


@exact_encoders
def test_starting_at_a_picture_shows_it_at_the_last_step(backend: str) -> None:
    generator = create(backend, 2)
    generator.start_from_images_(blocks(backend))
    generator.set_step(10, 10, (0, 1))
    shown = generator.decode().detach()
    assert (shown - blocks(backend)).abs().max() <= 0.1 + 1e-5  # the fake VQGAN stretches colours by as much
    assert generator.distance_to_start().tolist() == [0, 0]


@exact_backends
def test_reencoding_makes_the_latents_what_the_encoder_makes_of_the_pictures(backend: str) -> None:
    generator, encoded = started(backend, (1, 2), 10), create(backend, 2)
    with torch.no_grad():
        generator.parameters()[0].add_(0.1)
    images = generator.decode().detach()
    encoded.start_from_images_(images)
    encoded.set_step(10, 10, (1, 2))
    generator.reencode_(images)
    assert torch.equal(generator.decode(), encoded.decode())
    assert generator.distance_to_start().min() > 0  # it still started where it did


@every_generator
def test_the_distance_to_the_start_grows_for_the_picture_that_moves(backend: str) -> None:
    generator = started(backend, (1, 2))
    latent, *_ = generator.parameters()
    with torch.no_grad():
        latent[1] += 0.5
    still, moved = generator.distance_to_start().tolist()
    assert still == 0
    assert moved > 0 if backend == STROKES else moved == pytest.approx(0.25)


@exact_encoders
def test_following_the_gradient_to_a_picture_reaches_it(backend: str) -> None:
    generator, target = started(backend, (1, 2)), blocks(backend)
    optimizer = torch.optim.Adam(generator.parameters(), lr=0.1)
    distances = []
    for step in range(61):
        generator.set_step(step, 60, (1, 2))
        loss = (generator.decode() - target).square().mean()
        distances.append(float(loss.detach()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        generator.project_()
    assert distances[-1] < 0.15 * distances[0]


def test_reencoding_the_pixels_that_are_there_shows_the_same_picture() -> None:
    generator = started(DECORRELATED, (1,))
    with torch.no_grad():
        generator.parameters()[0].add_(0.1)
    before = generator.decode().detach()
    assert isinstance(generator, Encoder)
    generator.reencode_(before)
    torch.testing.assert_close(generator.decode().detach(), before, atol=1e-5, rtol=0)


def test_decorrelated_pixels_show_the_picture_that_they_start_from() -> None:
    images = 0.02 + 0.96 * torch.rand(3, 3, 33, 20, generator=torch.Generator().manual_seed(5))
    images[0, :, 0, :2] = torch.tensor([0.02, 0.98])
    generator = create(DECORRELATED, 3, (20, 33), levels=9)
    assert isinstance(generator, Encoder)
    generator.start_from_images_(images)
    torch.testing.assert_close(generator.decode().detach(), images, atol=1e-4, rtol=0)
    generator.start_from_images_(torch.tensor([0.0, 1.0, 0.5]).view(3, 1, 1, 1).expand(3, 3, 33, 20))
    shown = generator.decode().detach().mean((1, 2, 3))
    torch.testing.assert_close(shown, torch.tensor([0.02, 0.98, 0.5]), atol=1e-4, rtol=0)


def test_the_first_of_the_decorrelated_latents_is_brightness_which_moves_most() -> None:
    moved = []
    for component in range(3):
        generator = create(DECORRELATED, 1, levels=1)
        with torch.no_grad():
            generator.parameters()[0][:, component] += 0.1
        moved.append((generator.decode().detach() - 0.5).mean((0, 2, 3)))
    assert moved[0].abs().sum() > max(moved[1].abs().sum(), moved[2].abs().sum())
    assert (moved[0] > 0).all()  # while a contrast makes one colour brighter and another darker
    assert all(one.min() < -1e-4 and one.max() > 1e-4 for one in moved[1:])


@pytest.mark.parametrize("levels", [1, 4, 9])
def test_decorrelated_pixels_made_for_another_size_have_their_settings(levels: int) -> None:
    generator = create(DECORRELATED, 2, levels=levels)
    assert isinstance(generator, Growable)
    large = generator.at_size((96, 64))
    assert len(large.parameters()) == levels
    assert large.parameters()[0].shape == (2, 3, 64, 96)
    large.start_from_images_(torch.full((2, 3, 64, 96), 0.3))
    torch.testing.assert_close(large.decode().detach(), torch.full((2, 3, 64, 96), 0.3), atol=1e-4, rtol=0)
    assert (large.parameters()[0][:, 0] < -0.1).all()  # the logit of what is darker than grey


def test_vqgan_latents_stay_in_the_box_of_the_codebook() -> None:
    network = FakeVQGAN()
    network.codebook.mul_(torch.tensor([1.0, 2.0, -3.0]))
    generator = create("vqgan", 1, network=network)
    latent, *_ = generator.parameters()
    with torch.no_grad():
        latent.movedim(1, -1).copy_(torch.linspace(-9, 9, latent.numel()).view(1, *latent.shape[2:], 3))
    generator.project_()
    assert latent.detach().amin((0, 2, 3)).tolist() == [0, 0, -3]
    assert latent.detach().amax((0, 2, 3)).tolist() == [1, 2, 0]


def test_vqgan_noise_is_patches_of_colour_in_the_box_of_the_codebook() -> None:
    generator = create("vqgan", 1, (256, 256))
    generator.start_from_noise_([4])
    latent = next(iter(generator.parameters())).detach()
    assert 0 <= latent.min() < latent.max() <= 1
    assert latent.diff(dim=2).abs().mean() < 0.3 * latent.std()


def test_dvae_noise_fades_so_that_the_end_is_the_likeliest_code() -> None:
    changed = []
    for step in (0, 7, 9, 10):
        generator = started("dvae", step=step)
        logits, *_ = generator.parameters()
        likeliest = FakeDVAE().colours[logits.detach().argmax(1)].movedim(-1, 1).repeat_interleave(STRIDE, 2)
        drawn = generator.decode().detach()[..., ::STRIDE]
        changed.append(float((drawn != likeliest).float().mean()))
    assert changed == sorted(changed, reverse=True)
    assert changed[0] > 0.3
    assert changed[-1] == 0


def test_dvae_starts_from_a_picture_that_shows_through_the_noise() -> None:
    generator = create("dvae", 2)
    generator.start_from_images_(blocks("dvae"))
    logits, *_ = generator.parameters()
    spread = logits.detach().std(1)
    torch.testing.assert_close(spread, spread.mean().expand_as(spread))
    generator.set_step(0, 10, [1, 2])
    assert (generator.decode().detach() - blocks("dvae")).abs().mean() < 0.75 * (blocks("dvae") - 0.5).abs().mean()
