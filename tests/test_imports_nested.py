"""Networks in the many ways in which users save them: found wherever they lie, and it is said what was taken."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pretrained
import pytest
import references
import torch
from own_files import SMALL, cli
from safetensors.torch import save_file
from test_foreign_networks import VQGANS
from torch import Tensor, nn

from clipgen.errors import UsageError
from clipgen.weights.imports import import_autoencoder, import_classifier, import_clip, import_halves
from clipgen.weights.loader import load

pytestmark = pytest.mark.usefixtures("own_folder", "tiny_clips")

State = dict[str, Tensor]
VQGAN = VQGANS["taming"]


def named(prefix: str, state: State) -> State:
    return {prefix + name: value for name, value in state.items()}


def vqgan_state() -> State:
    return {name: value for name, value in references.vqgan(VQGAN).state_dict().items() if not name.startswith("loss.")}


def clip_state() -> State:
    return dict(references.clip({**pretrained.CLIP_CONFIGS["tiny-vit"], "text_cfg": pretrained.TEXT}).state_dict())


def other(state: State) -> State:
    return {name: value + 1 for name, value in state.items()}


def optimiser(state: State) -> dict[str, Any]:
    return {"state": {index: {"exp_avg": value} for index, value in enumerate(state.values())}, "param_groups": [{}]}


def whole_diffusion(state: State) -> State:
    return named("first_stage_model.", state) | {
        "model.diffusion_model.input_blocks.0.weight": torch.ones(2),
        "cond_stage_model.transformer.weight": torch.ones(3),
        "model_ema.diffusion_modelinput_blocks0weight": torch.ones(2),
    }


NESTED: dict[str, Callable[[State], Any]] = {
    "model": lambda state: {"model": state},
    "model_state_dict": lambda state: {"epoch": 3, "model_state_dict": state, "optimizer": optimiser(state)},
    "params": lambda state: {"params": state},
    "params_ema": lambda state: {"params_ema": state},
    "model and ema": lambda state: {"model": state, "ema": other(state), "steps": 7},
    "params and params_ema": lambda state: {"params": state, "params_ema": other(state)},
    "tuple": lambda state: (state, {"epoch": 1}),
    "list": lambda state: [None, [state]],
    "by step": lambda state: {"history": {100: {"net": state}}},
    "twice the same": lambda state: {"last": state, "best": state},
    "module of a module": lambda state: {"state_dict": named("module._orig_mod.", state)},
    "discriminator beside": lambda state: {"state_dict": state | {"discriminator.main.0.weight": torch.ones(2)}},
    "colorize": lambda state: {"state_dict": state | {"colorize": torch.ones(2), "temperature": torch.ones(())}},
    "numbers inside": lambda state: {"state_dict": {**state, "global_step": 7, "name": "run"}},
    "parameters": lambda state: {name: nn.Parameter(value, requires_grad=False) for name, value in state.items()},
    **{
        f"prefix {prefix}": lambda state, prefix=prefix: named(prefix, state)
        for prefix in (
            "module.", "model.", "_orig_mod.", "generator.", "vqgan.", "vqvae.", "net.", "vae.", "autoencoder.",
            "tokenizer.", "clip.", "clip_model.", "first_stage_model.", "any.thing.at.all.",
        )
    },
}  # fmt: skip


@pytest.mark.parametrize("how", NESTED)
def test_a_vqgan_is_found_wherever_it_lies(how: str) -> None:
    state = vqgan_state()
    torch.save(NESTED[how](state), "my.ckpt")
    found = load(import_autoencoder("vqgan", Path("my.ckpt"), None)).tensors
    assert found.keys() == state.keys()
    assert all(torch.equal(value, state[name]) for name, value in found.items())


@pytest.mark.parametrize(
    "how",
    ["model and ema", "tuple", "model_state_dict", "module of a module", "prefix clip.", "prefix clip_model."],
)
def test_a_clip_is_found_wherever_it_lies(how: str) -> None:
    state = clip_state()
    torch.save(NESTED[how](state), "my.pt")
    found = load(import_clip("tiny-vit", Path("my.pt"))).tensors
    assert all(torch.equal(value, state[name]) for name, value in found.items())


@pytest.mark.parametrize(
    "how", ["model and ema", "tuple", "prefix generator.", "module of a module", "model_state_dict"]
)
def test_a_classifier_is_found_wherever_it_lies(how: str) -> None:
    import timm

    state = timm.create_model("test_efficientnet").state_dict()
    torch.save(NESTED[how](state), "my.pt")
    found = load(import_classifier("test_efficientnet", Path("my.pt"))).tensors
    assert all(torch.equal(value, state[name]) for name, value in found.items())


def test_what_was_taken_and_what_was_left_is_said_with_counts() -> None:
    torch.save({"state_dict": whole_diffusion(vqgan_state())}, "my.ckpt")
    notes: list[str] = []
    import_autoencoder("vqgan", Path("my.ckpt"), None, note=notes.append)
    assert notes == [
        "my.ckpt: took the VQGAN at 'state_dict.first_stage_model.'; left 3 other tensors (state_dict.model 1, "
        "state_dict.cond_stage_model 1, state_dict.model_ema 1)"
    ]
    torch.save({"state_dict": vqgan_state()}, "plain.ckpt")
    import_autoencoder("vqgan", Path("plain.ckpt"), None, note=notes.append)
    assert len(notes) == 1


def flat_averages(state: State) -> State:
    """As latent diffusion keeps them: the dots taken out of the names, beside two numbers."""
    averages = {f"model_ema.{name.replace('.', '')}": value + 1 for name, value in state.items()}
    return state | averages | {"model_ema.decay": torch.ones(()), "model_ema.num_updates": torch.ones(())}


AVERAGED: dict[str, Callable[[State], Any]] = {
    "ema": lambda state: {"model": state, "ema": other(state)},
    "params_ema": lambda state: {"params": state, "params_ema": other(state)},
    "state_dict_ema": lambda state: {"state_dict": state, "state_dict_ema": named("module.", other(state))},
    "ema_model": lambda state: named("online_model.", state) | named("ema_model.", other(state)),
    "flat": lambda state: {"state_dict": flat_averages(state)},
    "flat inside": lambda state: {"state_dict": named("first_stage_model.", flat_averages(state))},
    "only the average": lambda state: {"params_ema": other(state)},
}


@pytest.mark.parametrize("how", AVERAGED)
def test_the_ema_copy_is_taken_when_asked_for(how: str) -> None:
    state = vqgan_state()
    torch.save(AVERAGED[how](state), "my.ckpt")
    notes: list[str] = []
    name = import_autoencoder("vqgan", Path("my.ckpt"), None, ema=True, note=notes.append)
    assert all(torch.equal(value, state[key] + 1) for key, value in load(name).tensors.items())
    assert "took the EMA copy of the VQGAN at" in notes[0]
    plain = import_autoencoder("vqgan", Path("my.ckpt"), None, note=notes.append)
    assert plain != name
    added = 1 if how == "only the average" else 0
    assert all(torch.equal(value, state[key] + added) for key, value in load(plain).tensors.items())
    assert notes[1].endswith("; --ema takes its EMA copy instead") == (not added)


def test_ema_is_a_flag_of_every_command_that_takes_own_files() -> None:
    torch.save({"model": vqgan_state()}, "plain.ckpt")
    for args, message in (
        (("--vqgan", "plain.ckpt"), "--ema: plain.ckpt has no EMA copy of the network, only the one at 'model.'"),
        ((), "--ema chooses among the weights in a file of yours; add --vqgan FILE"),
        (("--vqgan", "imagenet-f16-1024"), "--ema chooses among the weights in a file of yours"),
    ):
        result = cli(*SMALL, *args, "--ema")
        assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)
        assert message in result.stderr


def test_of_two_networks_that_differ_none_is_taken() -> None:
    state = vqgan_state()
    torch.save({"first": state, "second": other(state)}, "my.ckpt")
    with pytest.raises(UsageError, match=r"my\.ckpt holds 2 networks that fit, at 'first\.', 'second\.'; save the one"):
        import_autoencoder("vqgan", Path("my.ckpt"), None)
    torch.save({f"n{index}": other(state) for index in range(20)}, "many.ckpt")
    with pytest.raises(UsageError, match=r"many\.ckpt holds more than 16 networks; save the one"):
        import_autoencoder("vqgan", Path("many.ckpt"), None)
    condition = named("cond_stage_model.", other(state))
    torch.save({"state_dict": condition | named("first_stage_model.", state)}, "both.ckpt")
    found = load(import_autoencoder("vqgan", Path("both.ckpt"), None)).tensors
    assert all(torch.equal(value, state[name]) for name, value in found.items())


def changed(**changes: Tensor | None) -> State:
    state = vqgan_state() | {name.replace("__", "."): value for name, value in changes.items() if value is not None}
    return {name: value for name, value in state.items() if changes.get(name.replace(".", "__"), value) is not None}


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "an attention of its own": (lambda: changed(encoder__extra=torch.ones(2)), r"1 unknown \(encoder\.extra\)"),
    "no codebook": (lambda: changed(quantize__embedding__weight=None), "without a codebook .KL. is no VQGAN"),
    "a part is missing": (
        lambda: {"net": changed(decoder__norm_out__bias=None)},
        r"tensors of my\.ckpt at 'net\.': 1 missing \(decoder\.norm_out\.bias\)",
    ),
    "sparse": (
        lambda: {"net": changed(decoder__conv_out__weight=torch.ones(3, 32, 3, 3).to_sparse())},
        r"decoder\.conv_out\.weight is not among .*in it is no plain tensor but made by 'torch\..*_rebuild_sparse",
    ),
    "numpy": (
        lambda: {name: value.numpy() for name, value in vqgan_state().items()},
        r"'encoder\.conv_in\.weight' in it is 'numpy.*' instead of a tensor",
    ),
    "a CLIP": (clip_state, r"has no VQGAN in it: encoder\.conv_in\.weight is not among its tensors, \d+ \("),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_says_what_was_found_and_what_was_missing(name: str) -> None:
    make, message = REFUSED[name]
    torch.save(make(), "my.ckpt")
    with pytest.raises(UsageError, match=message) as caught:
        import_autoencoder("vqgan", Path("my.ckpt"), None)
    assert str(caught.value).startswith("--vqgan: ")


def test_both_halves_of_a_dvae_may_be_in_one_file() -> None:
    encoder, decoder = (module.state_dict() for module in references.dvae(pretrained.DVAE_CONFIG))
    torch.save({"encoder": encoder, "decoder": decoder}, "both.pt")
    save_file(named("enc.", decoder) | named("dec.", encoder), "swapped.safetensors")  # told by their shapes
    for file in ("both.pt", "swapped.safetensors"):
        found = load(import_halves("dvae", [Path(file)]))
        assert found.config == pretrained.DVAE_CONFIG
        wanted = named("encoder.", encoder) | named("decoder.", decoder)
        assert all(torch.equal(value, wanted[name]) for name, value in found.tensors.items())
