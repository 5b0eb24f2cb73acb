"""CLIPs whose text tower is a module of its own see and read as open_clip's own model with its own tokenizer does."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import by_hand
import open_clip
import pytest
import torch
from open_clip.model import CLIPTextCfg, CLIPVisionCfg
from open_clip.tokenizer import get_clean_fn
from open_clip.transform import PreprocessCfg, image_transform_v2
from published import tag_of
from safetensors.torch import save_file
from torch import Tensor

from clipgen.cli.model_options import ModelOptions
from clipgen.errors import UsageError, WeightsMissingError
from clipgen.perceptors.clip import CLIPPerceptor, build_perceptor
from clipgen.perceptors.text_tokens import HubTokenizer
from clipgen.weights.catalogue import RECORDS
from clipgen.weights.conversion import convert
from clipgen.weights.imports import import_clip
from clipgen.weights.loader import load, network_config
from clipgen.weights.records import Record

pytestmark = pytest.mark.usefixtures("own_folder")

TEXTS = ["a cat", "A red house, at night!", "fog & rain " * 30]
SMALL_TEXT = {"width": 64, "heads": 2, "layers": 2}
MODERN = [
    "clip/pe-core-b-16",
    "clip/eva02-l-14-merged2b_s4b_b131k",
    "clip/mobileclip2-s2-dfndr2b",
    "clip/mobileclip2-b-dfndr2b",
    "clip/vit-b-16-dfn2b",
]


def smaller(config: dict[str, Any]) -> dict[str, Any]:
    """A model config of open_clip with a small text tower, and a small image tower where it is open_clip's own."""
    vision = config["vision_cfg"]
    if "timm_model_name" not in vision:
        vision = {**vision, "width": 64, "layers": 2, "head_width": 32, "image_size": 64}
    return {**config, "vision_cfg": vision, "text_cfg": {**config["text_cfg"], **SMALL_TEXT}}


def random_model(config: dict[str, Any]) -> open_clip.CustomTextCLIP:
    torch.manual_seed(0)
    kind = open_clip.CustomTextCLIP if config.get("custom_text") else open_clip.CLIP
    return kind(
        config["embed_dim"],
        CLIPVisionCfg(**config["vision_cfg"]),
        CLIPTextCfg(**config["text_cfg"]),
        quick_gelu=config.get("quick_gelu", False),
        init_logit_bias=config.get("init_logit_bias"),
    ).eval()


@torch.no_grad()
def check(perceptor: CLIPPerceptor, model: Any, preprocess: Any, tokens: Tensor) -> None:
    """Texts, and whole pictures as judges see them, become the vectors of open_clip."""
    pictures = by_hand.opened(by_hand.pictures(Path("some")))[:3]
    seen = perceptor.encode_images(torch.stack([perceptor.prepared(each) for each in pictures]))
    wanted = model.encode_image(torch.stack([preprocess(each.convert("RGB")) for each in pictures]), normalize=True)
    torch.testing.assert_close(seen, wanted, rtol=0, atol=1e-5)
    assert torch.equal(perceptor.tokens(TEXTS), tokens)
    torch.testing.assert_close(
        perceptor.encode_texts(TEXTS), model.encode_text(tokens, normalize=True), rtol=0, atol=1e-5
    )
    assert float((seen[0] - seen[1]).abs().max()) > 5e-5  # else these pictures would look alike


def against_open_clip(record: Record, config: dict[str, Any]) -> None:
    """Save a random model as the file of a record, convert that, and compare."""
    model = random_model(config)
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, record.file)
    perceptor = build_perceptor(convert(Path(record.file), "clip", config)).eval()
    known = open_clip.get_pretrained_cfg(record.config["model"], tag_of(record))
    said = {name: known[name] for name in ("mean", "std", "interpolation", "resize_mode")}
    preprocess = image_transform_v2(PreprocessCfg(size=perceptor.size, **said), is_train=False)
    tokens = open_clip.get_tokenizer(record.config["model"])(TEXTS)
    assert tokens.shape[1] == open_clip.get_model_config(record.config["model"])["text_cfg"]["context_length"]
    check(perceptor, model, preprocess, tokens)


@pytest.mark.parametrize("name", ["clip/pe-core-t-16-384", "clip/vit-b-16-dfn2b"])
def test_published_clips_agree_with_open_clip(name: str) -> None:
    against_open_clip(RECORDS[name], smaller(network_config(RECORDS[name])))


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", MODERN)
def test_more_published_clips_agree_with_open_clip(name: str) -> None:
    against_open_clip(RECORDS[name], smaller(network_config(RECORDS[name])))


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_perception_encoder_of_full_size_agrees_with_open_clip() -> None:
    record = RECORDS["clip/pe-core-t-16-384"]
    against_open_clip(record, network_config(record))


def test_a_perception_encoder_reads_32_tokens_and_says_what_is_too_long() -> None:
    config = smaller(network_config(RECORDS["clip/pe-core-t-16-384"]))
    perceptor = CLIPPerceptor(config)
    assert perceptor.tokens(["a cat"]).shape == (1, 32)
    assert perceptor.tokens_over_limit("a cat") == 0
    assert perceptor.tokens_over_limit("cat " * 40) == 42 - 32


# A SigLIP: bidirectional text tower that pools the last token, a projection with a bias, and the hub's tokenizer.
SIGLIP: dict[str, Any] = {
    "embed_dim": 64,
    "init_logit_bias": -10,
    "custom_text": True,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 8},
    "text_cfg": {
        "context_length": 16,
        "vocab_size": 300,
        "hf_tokenizer_name": "somebody/siglip",
        "tokenizer_kwargs": {"clean": "canonicalize"},
        "no_causal_mask": True,
        "proj_bias": True,
        "pool_type": "last",
        "norm_kwargs": {"eps": 1e-6},
        **SMALL_TEXT,
    },
}
FILE = Path("mine/open_clip_model.safetensors")


class Bytes:
    """A tokenizer of transformers: ids are bytes, then 1 for the end, and 2 to pad."""

    pad_token_id, eos_token_id, bos_token_id, cls_token_id = 2, 1, None, None

    def __len__(self) -> int:
        return 258

    def __call__(self, texts: Any, **how: Any) -> SimpleNamespace:
        if isinstance(texts, str):
            return SimpleNamespace(input_ids=[*(3 + byte for byte in texts.encode()), 1])
        size = how["max_length"]
        assert (how["padding"], how["truncation"]) == ("max_length", True)
        rows = [[*[3 + byte for byte in text.encode()][: size - 1], 1] for text in texts]
        return SimpleNamespace(input_ids=torch.tensor([row + [2] * (size - len(row)) for row in rows]))


@pytest.fixture
def siglip() -> Any:
    """A SigLIP with random weights and its config in a folder; returns open_clip's own model of it."""
    model = random_model(SIGLIP)
    FILE.parent.mkdir()
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, FILE)
    config = {"model_cfg": SIGLIP, "preprocess_cfg": by_hand.SIGLIP}
    FILE.with_name("open_clip_config.json").write_text(json.dumps(config))
    return model


@pytest.fixture
def transformers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[Any, ...]]:
    """A package of that name, and a tokenizer in the cache of the hub; returns what it is asked for."""
    asked: list[tuple[Any, ...]] = []
    auto = SimpleNamespace(from_pretrained=lambda *args, **settings: asked.append((args, settings)) or Bytes())
    monkeypatch.setitem(sys.modules, "transformers", SimpleNamespace(AutoTokenizer=auto))
    said = tmp_path / "snapshot" / "tokenizer_config.json"
    said.parent.mkdir()
    said.write_text("{}")
    monkeypatch.setattr(
        "clipgen.perceptors.text_tokens.hub_file", lambda name, file: said if "siglip" in name else None
    )
    return asked


def test_a_siglip_agrees_with_open_clip(siglip: Any, transformers: list[Any], tmp_path: Path) -> None:
    perceptor = build_perceptor(load(import_clip(None, FILE))).eval()
    clean = get_clean_fn("canonicalize")
    tokens = Bytes()([clean(text) for text in TEXTS], max_length=16, padding="max_length", truncation=True).input_ids
    preprocess = image_transform_v2(
        PreprocessCfg(size=32, mean=(0.5,) * 3, std=(0.5,) * 3, interpolation="bicubic", resize_mode="squash"),
        is_train=False,
    )
    check(perceptor, siglip, preprocess, tokens)
    assert perceptor.tokens_over_limit("a cat") == 0
    assert perceptor.tokens_over_limit("a" * 20) == 21 - 16
    folder, settings = transformers[0]
    assert folder == (str(tmp_path / "snapshot"),)
    assert settings["local_files_only"] is True


def test_a_clip_whose_tokenizer_is_not_here_says_how_to_get_it(siglip: Any, transformers: list[Any]) -> None:
    path = FILE.with_name("open_clip_config.json")
    path.write_text(path.read_text().replace("somebody/siglip", "somebody/else"))
    with pytest.raises(WeightsMissingError, match="hf download somebody/else tokenizer_config"):
        import_clip(None, FILE)


def test_a_clip_for_whose_tokenizer_a_package_is_missing_says_which(
    siglip: Any, transformers: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(WeightsMissingError, match="pip install transformers"):
        ModelOptions(clip_weights=[FILE]).job_fields("vqgan")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tokenizer_kwargs": {"trust_remote_code": True}}, "whose tokenizer has trust_remote_code True"),
        ({"tokenizer_kwargs": {"clean": "no such"}}, "whose tokenizer has clean 'no such'"),
        ({"tokenizer_mode": "clips"}, "with 'tokenizer_mode' in its config"),
        ({"vocab_size": 200}, "must know the 258 tokens of its tokenizer, not 200"),
    ],
)
def test_what_a_config_must_not_ask_of_a_tokenizer_is_refused(
    siglip: Any, transformers: list[Any], change: dict[str, Any], message: str
) -> None:
    path = FILE.with_name("open_clip_config.json")
    said = json.loads(path.read_text())
    said["model_cfg"]["text_cfg"] |= change
    path.write_text(json.dumps(said))
    with pytest.raises(UsageError, match=message):
        import_clip(None, FILE)
    assert not any("trust_remote_code" in settings for _, settings in transformers)


def test_a_tokenizer_is_named_by_its_repository_and_never_by_a_path(siglip: Any) -> None:
    path = FILE.with_name("open_clip_config.json")
    path.write_text(path.read_text().replace("somebody/siglip", "../../mine"))
    with pytest.raises(UsageError, match="is no repository of the Hugging Face hub"):
        import_clip(None, FILE)


def test_a_real_tokenizer_of_transformers_is_read_as_open_clip_reads_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    transformers = pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    model = tokenizers.models.WordLevel({"<pad>": 0, "</s>": 1, "<unk>": 2, "a": 3, "cat": 4}, unk_token="<unk>")
    backend = tokenizers.Tokenizer(model)
    backend.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    backend.post_processor = tokenizers.processors.TemplateProcessing("$A </s>", special_tokens=[("</s>", 1)])
    made = transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )
    made.save_pretrained(tmp_path / "snapshot")
    here = tmp_path / "snapshot" / "tokenizer_config.json"
    monkeypatch.setattr("clipgen.perceptors.text_tokens.hub_file", lambda name, file: here)
    tokenizer = HubTokenizer("somebody/words", 6, "canonicalize")
    assert tokenizer(["A cat!", "a a a a a a a"]).tolist() == [[3, 4, 1, 0, 0, 0], [3, 3, 3, 3, 3, 1]]
    assert (tokenizer.length("a cat"), tokenizer.vocab_size) == (3, 5)
