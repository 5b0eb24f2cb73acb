"""What a hostile config, recipe, job or prompt costs grows no faster than its text; what is wrong is one line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from bounded import LONG, SIZES, check_memory, check_time
from mutators import chunk, png
from own_files import hub_folder

from clipgen import weights
from clipgen.cli.prompt_text import MAX_BYTES, read_lines
from clipgen.config.job import Job
from clipgen.config.prompts import parse_prompts
from clipgen.errors import ClipgenError, UsageError
from clipgen.outputs.metadata import read_recipe
from clipgen.weights.conversion import check_against_config
from clipgen.weights.imports import import_autoencoder, import_clip, read_yaml
from clipgen.weights.yaml_text import MAX_CHARACTERS, load_yaml

Text = Callable[[int], str]

YAMLS: dict[str, Text] = {
    "brackets": lambda size: "[" * size,
    "closed brackets": lambda size: "[" * (size // 2) + "]" * (size // 2),
    "braces": lambda size: "{a: " * (size // 4),
    "dashes": lambda size: "- " * (size // 2),
    "question marks": lambda size: "? " * (size // 2),
    "indented": lambda size: "".join(f"{' ' * k}a:\n" for k in range(int((2 * size) ** 0.5))),
    "aliases": lambda size: "a0: &a0 [x, x]\n"
    + "".join(f"a{k}: &a{k} [*a{k - 1}, *a{k - 1}]\n" for k in range(1, size // 25)),
    "anchors": lambda size: "".join(f"a{k}: &a{k} x\n" for k in range(size // 14)),
    "tags": lambda size: "a: " + "!" * size,
    "number in base 60": lambda size: "a: 1" + ":1" * (size // 2),
    "digits": lambda size: "a: " + "9" * size,
    "digits after the point": lambda size: "a: 0." + "9" * size,
    "keys of equal hash": lambda size: "".join(f"{k * (2**61 - 1)}: x\n" for k in range(1, size // 26)),
    "merged": lambda size: "<<: [" + "{a: 1}, " * (size // 8) + "]",
    "one word": lambda size: "a" * size,
    "quotes": lambda size: '"' * size,
    "escapes": lambda size: 'a: "' + "\\\\" * (size // 2) + '"',
    "documents": lambda size: "--- a\n" * (size // 6),
    "comments": lambda size: "#\n" * (size // 2),
    "directives": lambda size: "%TAG ! tag:a,2000:\n" * (size // 19),
    "binary": lambda size: "a: !!binary " + "A" * size,
}  # fmt: skip


@pytest.mark.parametrize("name", YAMLS)
def test_yaml_costs_what_its_size_allows(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.yaml"
    for wanted in (*SIZES, MAX_CHARACTERS - 100, LONG):
        path.write_text(YAMLS[name](wanted))
        size = path.stat().st_size
        with pytest.raises(UsageError):
            read_yaml(path)
        check_time(lambda: read_yaml(path), size)
        check_memory(lambda: read_yaml(path), size)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: 1:30", "'1:30' in line 1 is a number in base 60; put it in quotes"),
        ("a: 1:30.5", "in base 60"),
        ("a: -190:20:30", "in base 60"),
        ('a: !!float ""', "'' in line 1 is no number"),
        ('a: !!int ""', "'' in line 1 is no number"),
        ("b: 1\na: !!int '-'", "'-' in line 2 is no number"),
        ("a: !!int _", "is no number"),
        ("a: !!int x", "is not what its type says"),
        ("a: !!float x", "is not what its type says"),
        ("a: !!int [1]", "expected a scalar node"),
        ("a: 0b", None),
        ("a: !!int 0b", "is not what its type says"),
        ("a: !!int 0x", "is not what its type says"),
        ("a: " + "9" * 30, "too large a number"),
        ("a: 2001-99-99", "is not what its type says"),
        ("a: !!timestamp x", "is not what its type says"),
        ("a: !!bool x", "is not what its type says"),
        ("a: !!null x", None),
        ("a: !!binary '\u00e9'", "failed to convert|expected"),
        ("a: &b [*b]", "it has aliases"),
        ("? [a]\n: b", "unhashable"),
        ("a: !!python/name:os.system ", "could not determine a constructor"),
        ("a: !!python/object/apply:os.system [x]", "could not determine a constructor"),
        ("[" * 21 + "]" * 21, "nested more than 20 deep"),
        ("a: \ud800", "not what its type says|not allowed|surrogates"),
        ("a: \x00", "not allowed|control characters"),
    ],
)
def test_what_is_wrong_in_yaml_is_said(text: str, reason: str | None) -> None:
    if reason is None:
        load_yaml(text)
        return
    with pytest.raises(yaml.YAMLError, match=reason):
        load_yaml(text)


def test_plain_yaml_is_read_as_ever() -> None:
    text = "a: [1, -2.5, 1e-3, 1.0e+3, .inf, 0x10, 010, 1_000]\nb: {c: yes, d: null, e: 2001-02-03, f: '1:30', 3: x}\n"
    assert load_yaml(text) == yaml.safe_load(text)
    assert load_yaml("\ufeff" + text) == yaml.safe_load(text)
    assert load_yaml("[" * 20 + "]" * 20)
    assert load_yaml("") is None


DDCONFIG = {
    "double_z": False, "z_channels": 8, "resolution": 256, "in_channels": 3, "out_ch": 3, "ch": 32,
    "ch_mult": [1] * 50, "num_res_blocks": 256, "attn_resolutions": [], "dropout": 0.0,
}  # fmt: skip
SEEN = {"mean": [0] * 3, "std": [1] * 3}
VISION = {"image_size": 32, "layers": 256, "width": 64, "patch_size": 8}
MANY = {"width": 8, "layers": 128, "heads": 1}
NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "vqgan": ("vqgan", {"embed_dim": 8, "n_embed": 8, "ddconfig": DDCONFIG}),
    "vqgan of many levels": ("vqgan", {"embed_dim": 8, "n_embed": 8,
                                       "ddconfig": {**DDCONFIG, "ch_mult": [1] * 256, "num_res_blocks": 2}}),
    "dvae": ("dvae", {"vocab_size": 8, "n_hid": 8, "n_blk_per_group": 256, "n_init": 8}),
    "titok": ("titok", {"side": 8, "patch": 8, "tokens": 1, "n_embed": 8, "embed_dim": 8, "encoder": MANY,
                        "decoder": MANY, "pixels": {"n_embed": 8, **DDCONFIG, "ch_mult": [1]}}),
    "clip": ("clip", {"embed_dim": 8, "vision_cfg": VISION, "text_cfg": {"layers": 256}, **SEEN}),
    "clip of a ResNet": ("clip", {"embed_dim": 8, "vision_cfg": {**VISION, "layers": [256] * 4},
                                  "text_cfg": {"layers": 1}, **SEEN}),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.usefixtures("own_folder")
def test_no_more_layers_are_built_than_the_file_has_tensors(name: str) -> None:
    kind, config = NETWORKS[name]
    path = Path("mine.safetensors")
    for count in (1, 60):
        state = {f"w{k}": torch.ones(1) for k in range(count)}
        weights.write(path, weights.Checkpoint(kind, config, state))
        with pytest.raises(ClipgenError, match=rf"describes no network: .* layers, and the file {count} tensors"):
            check_against_config(weights.read(path), path)
        check_time(lambda: check_against_config(weights.read(path), path), path.stat().st_size)


JSONS: dict[str, Text] = {
    "brackets": lambda size: "[" * size,
    "braces": lambda size: '{"a":' * (size // 5),
    "digits": lambda size: "9" * size,
    "digits in a list": lambda size: "[" + "9" * size + "]",
    "equal keys": lambda size: "{" + '"schema": 2, ' * (size // 13) + '"plan": {}}',
    "many keys": lambda size: json.dumps({f"{k:x}": k for k in range(size // 14)}),
    "nested plan": lambda size: '{"plan": ' + "[" * (size // 2) + "]" * (size // 2) + "}",
    "long text": lambda size: json.dumps({"schema": 2, "version": "x" * size}),
    "many prompts": lambda size: json.dumps({"prompts": [{"text": "a", "weight": -1e99}] * (size // 30)}),
    "escapes": lambda size: '{"prompts": "' + "\\\\ud800" * (size // 7) + '"}',
}


def refuse_hub_config(text: str, folder: Path) -> object:
    (folder / "mine/open_clip_config.json").write_text(text)
    return import_clip(None, folder / "mine/open_clip_model.safetensors")


def refuse_recipe(text: str, folder: Path) -> object:
    (folder / "a.png").write_bytes(png(1, 1, chunk(b"iTXt", b"clipgen\0\0\0\0\0" + text.encode())))
    return read_recipe(folder / "a.png")


def refuse_own(text: str, folder: Path) -> object:
    header = json.dumps({"__metadata__": {"kind": "vqgan", "config": text}}).encode()
    (folder / "own.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    return import_autoencoder("vqgan", folder / "own.safetensors", None)


READERS: dict[str, Callable[[str, Path], object]] = {
    "job": lambda text, _: Job.from_json(text),
    "recipe": refuse_recipe,
    "open_clip_config.json": refuse_hub_config,
    "own format": refuse_own,
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", JSONS)
@pytest.mark.usefixtures("own_folder", "tiny_clips")
def test_json_costs_what_its_size_allows(tmp_path: Path, reader: str, name: str) -> None:
    if reader == "open_clip_config.json":
        hub_folder(tmp_path / "mine")
    for size in SIZES:
        text = JSONS[name](size)
        with pytest.raises(ClipgenError):
            READERS[reader](text, tmp_path)
        check_time(lambda text=text: READERS[reader](text, tmp_path), size)  # type: ignore[misc]
        check_memory(lambda text=text: READERS[reader](text, tmp_path), size)  # type: ignore[misc]


PROMPTS: dict[str, Text] = {
    "bars": lambda size: "|" * size,
    "colons": lambda size: "a" + ":" * size,
    "backslashes": lambda size: "\\" * size,
    "lines": lambda size: "a\n" * (size // 2),
    "one word": lambda size: "a" * size,
    "digits": lambda size: "a:" + "9" * size,
    "marks": lambda size: "\u0301" * size,
    "prompts": lambda size: "|".join(["a cat:1"] * (size // 8)),
}


@pytest.mark.parametrize("name", PROMPTS)
def test_prompts_cost_what_their_size_allows(tmp_path: Path, name: str) -> None:
    def act() -> None:
        for _, line in read_lines(str(tmp_path / "a.txt")):
            parse_prompts(line)

    for size in SIZES:
        (tmp_path / "a.txt").write_text(PROMPTS[name](size), encoding="utf-8")
        check_time(act, size)
        check_memory(act, size, 2 * MAX_BYTES)  # the buffer that the file is read into
