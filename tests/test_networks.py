import contextlib
import io

import pytest
import torch
from dall_e import Decoder as DallEDecoder
from dall_e import Encoder as DallEEncoder
from taming.modules.diffusionmodules.model import Decoder, Encoder
from taming.modules.vqvae.quantize import VectorQuantizer2

from clipgen.generators.networks import DVAENetwork, VQGANNetwork
from clipgen.perceptors.clip import CLIPPerceptor
from clipgen.perceptors.text_tokens import small_tokenizer
from clipgen.perceptors.towers import ConvTower, clipgen_conv7
from clipgen.starter.train.clip import CONFIGS

SHAPE = {"double_z": False, "z_channels": 32, "resolution": 32, "in_channels": 3, "out_ch": 3, "ch": 32, "dropout": 0.0,
         "ch_mult": [1, 1, 2], "num_res_blocks": 1, "attn_resolutions": []}  # fmt: skip
VQGAN = {"embed_dim": 16, "n_embed": 24, "ddconfig": SHAPE}
DVAE = {"vocab_size": 512, "n_hid": 64, "n_blk_per_group": 1, "n_init": 16}


@pytest.fixture
def pictures() -> torch.Tensor:
    return torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(0))


def test_the_vqgan_is_tamings_own(pictures: torch.Tensor) -> None:
    torch.manual_seed(0)
    network = VQGANNetwork(VQGAN).eval()
    with contextlib.redirect_stdout(io.StringIO()):
        encoder, decoder = Encoder(**SHAPE).eval(), Decoder(**SHAPE).eval()
    encoder.load_state_dict(network.encoder.state_dict())
    decoder.load_state_dict(network.decoder.state_dict())
    quantizer = VectorQuantizer2(24, 16, beta=0.25, legacy=True)
    quantizer.load_state_dict(network.quantize.state_dict())
    with torch.no_grad():
        latent = network.encode(pictures)
        assert torch.equal(latent, network.quant_conv(encoder(2 * pictures - 1)))
        codes, _, (_, _, indices) = quantizer(latent)
        assert torch.equal(network.nearest(latent).flatten(), indices)
        assert torch.allclose(network.straight_through(latent), codes, atol=1e-6)
        assert torch.equal(network.decode(codes) * 2 - 1, (decoder(network.post_quant_conv(codes)) + 1) / 2 * 2 - 1)
    assert network.stride == 4
    assert latent.shape == (2, 16, 8, 12)


def test_the_dvae_is_dall_es_own(pictures: torch.Tensor) -> None:
    torch.manual_seed(0)
    network = DVAENetwork(DVAE).eval()
    encoder = DallEEncoder(n_hid=64, n_blk_per_group=1, vocab_size=512)
    decoder = DallEDecoder(n_hid=64, n_blk_per_group=1, vocab_size=512, n_init=16)
    encoder.load_state_dict(network.encoder.state_dict())
    decoder.load_state_dict(network.decoder.state_dict())
    with torch.no_grad():
        logits = network.encode(pictures)
        assert torch.equal(logits, encoder((1 - 2 * 0.1) * pictures + 0.1))
        codes = torch.nn.functional.one_hot(logits.argmax(1), 512).movedim(-1, 1).float()
        mean, log_scale = decoder(codes).chunk(2, 1)
        assert torch.equal(network.statistics(codes)[0], mean)
        assert torch.equal(network.statistics(codes)[1], log_scale)
        assert torch.allclose(network.decode(codes), (torch.sigmoid(mean) - 0.1) / 0.8)
    assert network.stride == 8


@pytest.mark.parametrize("block", [2, 4])
def test_space_to_depth_multiplies_the_stride_and_keeps_the_size(block: int) -> None:
    channels = 3 * block**2
    config = {**VQGAN, "space_to_depth": block, "ddconfig": {**SHAPE, "in_channels": channels, "out_ch": channels}}
    network = VQGANNetwork(config)
    latent = network.encode(torch.rand(1, 3, 64, 32))
    assert latent.shape[2:] == (64 // network.stride, 32 // network.stride)
    assert network.decode(latent).shape == (1, 3, 64, 32)


def test_building_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    VQGANNetwork(VQGAN)
    DVAENetwork(DVAE)
    assert capsys.readouterr().out == ""


def test_the_small_tokenizer_speaks_open_clips_first_merges() -> None:
    small, whole = small_tokenizer(4096, 32), small_tokenizer(49152 - 256 - 2 - 256, 77)
    assert small.vocab_size == 4096 + 512 + 2
    assert small.eot_token_id == small.vocab_size - 1
    for text in ("a cat", "the city", "café ☕"):
        assert small.decode(small.encode(text)).strip() == whole.decode(whole.encode(text)).strip()
    assert small.encode("the") == whole.encode("the")
    assert max(small.encode("watercolour umbrella")) < small.vocab_size


@pytest.mark.parametrize("name", CONFIGS)
def test_perceptors_give_unit_vectors_and_normalise_their_input_themselves(name: str) -> None:
    torch.manual_seed(0)
    perceptor = CLIPPerceptor(CONFIGS[name]).eval()
    views = torch.rand(3, 3, perceptor.size, perceptor.size)
    images, texts = perceptor.encode_images(views), perceptor.encode_texts(["a cat", "a dog", ""])
    assert images.shape == texts.shape == (3, 128)
    assert torch.allclose(images.norm(dim=1), torch.ones(3), atol=1e-5)
    assert torch.allclose(texts.norm(dim=1), torch.ones(3), atol=1e-5)
    assert perceptor.tokens_over_limit("a cat") == 0
    assert perceptor.tokens_over_limit("cat " * 40) == 40 + 2 - 32


def test_texts_are_read_token_by_token() -> None:
    torch.manual_seed(0)
    perceptor = CLIPPerceptor(CONFIGS["clip"]).eval()
    texts = ["a cat", "a cat in a hat"]
    read, vectors = perceptor.text_states(texts), perceptor.encode_texts(texts)
    torch.testing.assert_close(read[:, 0], vectors)
    ends = [len(perceptor.tokenizer.encode(text)) + 2 for text in texts]
    for said, vector, end in zip(read, vectors, ends, strict=True):
        torch.testing.assert_close(said[end], vector)  # of what is said up to the end: all
        torch.testing.assert_close(said[1 : end + 1].norm(dim=1), torch.ones(end))
        assert not said[end + 1 :].any()
    before = ends[0] - 1
    torch.testing.assert_close(read[0, 1 : 1 + before], read[1, 1 : 1 + before])
    assert not torch.allclose(read[0, ends[0]], read[1, ends[0]])


@pytest.mark.parametrize("pool", ["avg", "max", "avgmax"])
def test_towers_shrink_sixteen_times_and_pool(pool: str) -> None:
    tower = ConvTower(8, [(16, True), (24, False), (32, True)]).eval()
    tower.reset_classifier(0, pool)
    pictures = torch.rand(2, 3, 64, 64)
    features = tower.stages(tower.stem(pictures))
    assert features.shape == (2, 32, 4, 4)
    wanted = {"avg": features.mean((2, 3)), "max": features.amax((2, 3))}
    wanted["avgmax"] = (wanted["avg"] + wanted["max"]) / 2
    assert torch.allclose(tower(pictures), wanted[pool], atol=1e-6)


def test_towers_have_neither_classifier_nor_pretrained_weights() -> None:
    with pytest.raises(ValueError, match="classifier"):
        ConvTower(8, [(16, True)]).reset_classifier(10)
    with pytest.raises(ValueError, match="checkpoint"):
        clipgen_conv7(pretrained=True)
