"""A tiny DALL-E mini in the layout of the published files, with weights that a formula gives; needs numpy alone.

So the authors' package, in an environment of its own, can be asked for the output of the very same network.
"""

import struct
from typing import Any
from zlib import crc32

import numpy as np

CONFIG: dict[str, Any] = {
    "d_model": 16,
    "encoder_layers": 2,
    "decoder_layers": 3,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 20,
    "decoder_ffn_dim": 24,
    "encoder_vocab_size": 40,
    "image_vocab_size": 51,
    "codes": 48,
    "max_text_length": 10,
    "image_length": 16,
    "decoder_start_token_id": 48,
}
"""In the words of the published config.json, and `codes`, which the authors' package does not know."""
TEXTS = np.array([[0, 7, 11, 39, 2, 1, 1, 1, 1, 1], [0, 5, 6, 7, 8, 9, 10, 12, 13, 2]])
CODES = np.array([[48, *range(15)], [48, *range(47, 17, -2)]])
AUTHORS = np.array(
    [
        [
            [0.10757, 0.80434, 1.29222, 1.68075, 0.81036, 2.42189],
            [-0.49667, 0.58782, 1.08466, 0.75467, 0.78629, 1.32588],
            [0.21024, 0.61991, 0.44647, -1.48924, -1.51392, 1.32534],
            [0.08529, -0.83967, 1.93516, -0.03221, 0.14603, 1.29083],
        ],
        [
            [0.63109, -0.17947, 1.68868, 2.07098, 0.7066, 2.21048],
            [1.10171, -0.15605, 1.14035, 0.7653, 0.77166, 1.21683],
            [0.44916, -0.29183, 0.54837, 0.80832, -0.59215, 2.05858],
            [0.18948, -1.72483, 1.92196, 1.87477, 0.44133, 1.94378],
        ],
    ]
)
"""What the authors' package says: the logits of both pictures at every fifth place, of every tenth code."""

SPECIALS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
MERGES = ["Ġ a", "Ġ c", "i n", "t h", "Ġc a", "Ġca t", "o u", "e r", "Ġ th", "Ġth e", "in g", "1 2", "n '"]
MERGES += ["' t", "' s", "b i", "bi r", "bir d", "Ġ ,"]
"""Pairs in GPT-2's letters, where Ġ is the space."""

Tree = dict[str, Any]


def tokenizer_said(letters: list[str]) -> Tree:
    """Return a small tokenizer.json: special tokens, the letters of all bytes, what merges make of them."""
    tokens = [*SPECIALS, *letters, *(merge.replace(" ", "") for merge in MERGES)]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": k, "content": token, "special": True}
            | dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
            for k, token in enumerate(SPECIALS)
        ],
        "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True},
        "post_processor": {
            "type": "RobertaProcessing",
            "sep": ["</s>", 2],
            "cls": ["<s>", 0],
            "trim_offsets": True,
            "add_prefix_space": False,
        },
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": "<unk>",
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "vocab": {token: k for k, token in enumerate(tokens)},
            "merges": [*MERGES],
        },
    }


def _norm(width: int, *, scaled: bool) -> Tree:
    return {"bias": (width,), **({"scale": (width,)} if scaled else {})}


def _attention(width: int) -> Tree:
    return {f"{name}_proj": {"kernel": (width, width)} for name in ("q", "k", "v", "out")}


def _layer(width: int, inner: int, attentions: int) -> Tree:
    norms = {f"LayerNorm_{k}": _norm(width, scaled=k % 2 == 1) for k in range(2 * attentions)}
    dense = {f"Dense_{k}": {"kernel": shape} for k, shape in enumerate([(width, inner)] * 2 + [(inner, width)])}
    glu = {"LayerNorm_0": _norm(width, scaled=False), "LayerNorm_1": _norm(inner, scaled=False), **dense}
    return {**{f"FlaxBartAttention_{k}": _attention(width) for k in range(attentions)}, **norms, "GLU_0": glu}


def _part(name: str, tokens: int, places: int, attentions: int) -> Tree:
    width, inner = CONFIG["d_model"], CONFIG[f"{name}_ffn_dim"]
    layers = _stacked(_layer(width, inner, attentions), CONFIG[f"{name}_layers"])
    return {
        "embed_tokens": {"embedding": (tokens, width)},
        "embed_positions": {"embedding": (places, width)},
        "layernorm_embedding": _norm(width, scaled=True),
        "final_ln": _norm(width, scaled=False),
        "layers": {f"FlaxBart{name.title()}Layers": layers},
    }


def _stacked(tree: Any, count: int) -> Any:
    if isinstance(tree, tuple):
        return (count, *tree)
    return {key: _stacked(value, count) for key, value in tree.items()}


def _filled(tree: Any, path: str = "") -> Any:
    if not isinstance(tree, tuple):
        return {key: _filled(value, f"{path}.{key}") for key, value in tree.items()}
    size = int(np.prod(tree))
    wave = np.sin(1.7 * np.arange(size) ** 1.5 + crc32(path.encode()) % 1000)
    return (0.4 * wave + path.endswith("scale")).astype(np.float32).reshape(tree)


def weights() -> Tree:
    """Return the parameters as flax nests them."""
    tokens = CONFIG["image_vocab_size"] + 1
    parts = {
        "encoder": _part("encoder", CONFIG["encoder_vocab_size"], CONFIG["max_text_length"], 1),
        "decoder": _part("decoder", tokens, CONFIG["image_length"], 2),
    }
    whole: Tree = _filled({"model": parts, "lm_head": {"kernel": (CONFIG["d_model"], tokens)}})
    return whole


def packed(value: Any) -> bytes:
    """Return a value in msgpack as flax writes it: texts, small numbers, lists, maps, bytes and arrays."""
    if isinstance(value, np.ndarray):
        inside = packed([list(value.shape), value.dtype.name, value.tobytes()])
        return b"\xc9" + struct.pack(">IB", len(inside), 1) + inside
    if isinstance(value, dict):
        return (
            b"\xde" + struct.pack(">H", len(value)) + b"".join(map(packed, [x for pair in value.items() for x in pair]))
        )
    if isinstance(value, list):
        return b"\xdc" + struct.pack(">H", len(value)) + b"".join(map(packed, value))
    if isinstance(value, str):
        return b"\xd9" + struct.pack(">B", len(value.encode())) + value.encode()
    if isinstance(value, bytes):
        return b"\xc6" + struct.pack(">I", len(value)) + value
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    return b"\xcd" + struct.pack(">H", value)
