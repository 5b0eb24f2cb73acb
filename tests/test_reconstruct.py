"""`clipgen reconstruct` and `clipgen decode`: autoencoders as autoencoders, measured as others measure."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pretrained
import pytest
import references
import torch
from dall_e.utils import map_pixels, unmap_pixels
from fakes import Cli
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from test_foreign_full import FULL_DVAE, FULL_VQGANS
from torch import Tensor

from clipgen.cli import reconstruct as command
from clipgen.generators.networks import NETWORKS, build_network
from clipgen.judge import lpips
from clipgen.judge.lpips import find_lpips
from clipgen.judge.reconstruction import Usage, on_grid, reconstruct, similarity
from clipgen.outputs.sheet import is_sheet
from clipgen.session import reconstructions
from clipgen.util.images import as_tensor, to_pil
from clipgen.weights.conversion import convert

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _no_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees what torch's hub may have on this machine."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))


def photo(size: tuple[int, int] = (72, 48), seed: int = 0) -> Image.Image:
    """Soft colours with a little noise."""
    numbers = np.random.default_rng(seed)
    small = Image.fromarray(numbers.integers(0, 255, (4, 6, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
    noise = numbers.normal(0, 9, (size[1], size[0], 3))
    return Image.fromarray((np.asarray(small) + noise).clip(0, 255).astype(np.uint8))


def skimage_ssim(one: Image.Image, other: Image.Image) -> float:
    found: float = structural_similarity(
        *(np.asarray(each) / 255 for each in (one, other)),
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=1.0,
        channel_axis=2,
    )
    return found


def test_ssim_is_that_of_scikit_image() -> None:
    for seed in range(5):
        one, other = photo(seed=seed), photo(seed=seed + seed % 2)
        other = Image.blend(one, other, 0.1 * (seed + 1))
        assert similarity(as_tensor(one), as_tensor(other)) == pytest.approx(skimage_ssim(one, other), abs=1e-5)
    assert similarity(as_tensor(one), as_tensor(one)) == pytest.approx(1.0)
    small = as_tensor(photo((8, 8)))
    assert similarity(small, small) == pytest.approx(1.0)


def test_lpips_is_that_of_torchmetrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = pytest.importorskip("torchmetrics.functional.image.lpips")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert str(find_lpips()).startswith(f"LPIPS is left out, as it needs the file {tmp_path}/hub/checkpoints/")
    torch.manual_seed(0)
    metric = theirs._LPIPS(net="alex", pnet_rand=True)
    state = {f"features.{name.split('.', 1)[1]}": value for name, value in metric.net.state_dict().items()}
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    torch.save(state, tmp_path / "hub" / "checkpoints" / lpips.ALEXNET)
    assert "is not the published file" in str(find_lpips())
    monkeypatch.setattr(lpips, "ALEXNET_SHA256", "")
    found = find_lpips()
    assert isinstance(found, lpips.LPIPS)
    one, other = as_tensor(photo()), as_tensor(photo(seed=1))
    with torch.no_grad():
        assert float(found(one, other)) == pytest.approx(float(metric(2 * one - 1, 2 * other - 1)), rel=1e-4)
        assert float(found(one, one)) == 0
        assert float(found(one[..., :32, :32], other[..., :32, :32])) > 0


def test_perplexity_is_how_many_codes_are_equally_likely() -> None:
    even = np.arange(8, dtype=np.int32).reshape(2, 4)
    usage = Usage.of([even], 16)
    assert (usage.codes, usage.share) == (8, 0.5)
    assert usage.perplexity == pytest.approx(8)
    uneven = np.array([[3, 3], [3, 5]], dtype=np.int32)  # 3/4 and 1/4
    assert Usage.of([uneven], 8).perplexity == pytest.approx(math.exp(-0.75 * math.log(0.75) - 0.25 * math.log(0.25)))
    assert Usage.of([uneven * 0], 8) == Usage(1, 1 / 8, 1.0)
    assert Usage.of([even, even[:1]], 16).codes == 8


@given(st.integers(1, 700), st.integers(1, 700), st.sampled_from([4, 8, 16, 24]))
@settings(max_examples=60)
def test_a_picture_comes_onto_the_grid_with_its_own_pixels_where_it_can(width: int, height: int, stride: int) -> None:
    image = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    fitted = on_grid(image, stride)
    assert all(side % stride == 0 and stride <= side <= max(256, stride) for side in fitted.size)
    if stride <= min(width, height) <= max(width, height) <= 256:
        assert (width - fitted.width < stride, height - fitted.height < stride) == (True, True)
        left, top = (width - fitted.width) // 2, (height - fitted.height) // 2
        assert fitted.tobytes() == image.crop((left, top, left + fitted.width, top + fitted.height)).tobytes()
    assert on_grid(image, stride, (48, 96)).size == (48, 96)


def test_one_picture_is_shown_measured_and_kept_as_tokens(cli: Cli) -> None:
    photo().save("p.png")
    made = cli("reconstruct", "p.png", "--all", "--alone", "-o", "out")
    assert made.exit_code == 0, made.stderr
    lines = made.stdout.splitlines()
    rows = {line.split()[1]: line.split() for line in lines[1:3]}
    assert list(rows) == ["starter/vqgan", "starter/dvae"]
    assert lines[3] == "out/p-reconstructed.png"
    assert is_sheet(Path(lines[3]))
    for name, row in rows.items():
        stem = f"out/p-{name.replace('/', '-')}"
        assert {f"{stem}.npy", f"{stem}-tokens.png", f"{stem}.png"} <= set(lines)
        rebuilt, tokens = Image.open(f"{stem}.png"), np.load(f"{stem}.npy")
        psnr = peak_signal_noise_ratio(np.asarray(photo()), np.asarray(rebuilt))
        assert float(row[2]) == pytest.approx(psnr, abs=0.006)
        assert float(row[3]) == pytest.approx(skimage_ssim(photo(), rebuilt), abs=6e-5)
        assert (tokens.shape, tokens.dtype.kind, int(row[4])) == ((6, 9), "i", len(np.unique(tokens)))
        drawn = np.asarray(Image.open(f"{stem}-tokens.png"))[4::8, 4::8].reshape(-1, 3)
        assert len({tuple(colour) for colour in drawn.tolist()}) == int(row[4])
        again = cli("decode", f"{stem}.npy", f"--{name.split('/')[1]}", name, "-o", "back.png")
        assert f"72x48 from 9x6 tokens, taken as codes of {name}" in again.stderr
        assert Image.open(again.stdout.strip()).tobytes() == rebuilt.tobytes()


def test_many_pictures_have_means_and_one_that_is_damaged_costs_itself(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("many").mkdir()
    for seed in range(4):
        photo((32, 32 + 8 * seed), seed).save(f"many/{seed}.png")
    Path("many/bad.png").write_bytes(Path("many/0.png").read_bytes()[:90])
    monkeypatch.setattr(reconstructions, "MAX_SHOWN", 3)
    made = cli("reconstruct", "many", "--json", "-o", "out", "--tokens")
    assert made.exit_code == 0, made.stderr
    document: Any = json.loads(made.stdout)
    rows = document["pictures"]
    assert [row["path"] for row in rows] == [f"many/{seed}.png" for seed in range(4)]
    assert [one["path"] for one in document["skipped"]] == ["many/bad.png"]
    [mean] = document["means"]
    for name in ("psnr", "ssim", "codes", "share", "perplexity"):
        values = [row[name] for row in rows]
        assert mean[name]["value"] == pytest.approx(np.mean(values))
        assert min(values) <= mean[name]["low"] <= mean[name]["value"] <= mean[name]["high"] <= max(values)
    grids = [np.load(next(name for name in row["files"] if name.endswith(".npy"))).ravel() for row in rows]
    assert mean["together"]["codes"] == len(np.unique(np.concatenate(grids)))
    assert mean["codebook"] == 2048
    shown = cli("reconstruct", "many", "-o", "other")
    assert "left out: the picture 'many/bad.png' is damaged" in shown.stderr
    assert "the sheet shows the first 3 of 4 pictures" in shown.stderr
    assert "MEAN OF 4" in shown.stdout
    assert shown.stdout.splitlines()[-1] == "other/reconstructed.png"
    assert len(list(Path("other").iterdir())) == 1


def test_what_was_done_before_a_stop_is_reported(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.png", "b.png"):
        photo().save(name)
    calls: list[int] = []

    def stopping(*args: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return reconstruct(*args)

    monkeypatch.setattr("clipgen.judge.reconstruction.reconstruct", stopping)
    made = cli("reconstruct", "a.png", "b.png", "-o", "out")
    assert made.exit_code == 130
    assert "a.png" in made.stdout
    assert Path("out/reconstructed.png").exists()


def test_equal_pictures_have_no_finite_psnr(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    photo().save("p.png")
    monkeypatch.setattr(NETWORKS["vqgan"], "images_of", lambda _self, _codes: as_tensor(photo()))
    assert json.loads(cli("reconstruct", "p.png", "--json").stdout)["pictures"][0]["psnr"] is None
    assert " inf " in cli("reconstruct", "p.png").stdout


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("reconstruct",), "name pictures, or a folder of them, as in clipgen reconstruct photo.jpg"),
        (("reconstruct", "no.png"), "there is no file or folder no.png"),
        (("reconstruct", "bad.png"), "the picture 'bad.png' is damaged"),
        (("reconstruct", "bad.png", "worse.png"), "1 more cannot be read either"),
        (("reconstruct", "p.png", "--backend", "pixels"), "backend pixels has no tokens; vqgan, dvae, titok have"),
        (("reconstruct", "p.png", "--backend", "vqgam"), "did you mean vqgan?"),
        (
            ("reconstruct", "p.png", "--backend", "dvae", "--vqgan", "starter/vqgan"),
            "--vqgan goes with --backend vqgan",
        ),
        (("reconstruct", "p.png", "--vqgan", "no.ckpt"), "--vqgan, where it names no file,"),
        (("reconstruct", "p.png", "--vqgan-config", "x.yaml"), "goes with one --vqgan FILE, got 0"),
        (("reconstruct", "p.png", "--size", "4x4"), "is smaller than one latent cell of starter/vqgan"),
        (("reconstruct", "p.png", "-o", "x.jpg"), "-o x.jpg is not a PNG file"),
        (("decode",), "name a grid of tokens, as in clipgen decode tokens.npy"),
        (("decode", "p.png"), "the tokens 'p.png' is not a .npy file"),
        (("decode", "t.npy"), "holds the code 8192, and starter/vqgan has 2,048 codes, from 0 to 2047"),
        (("decode", "t.npy", "--backend", "pixels"), "backend pixels has no tokens"),
        (("decode", "t.npy", "--vqgan", "starter/vqgan", "--dvae", "starter/dvae"), "decode takes one model, got"),
        (("decode", "wide.npy"), "are a picture of 8192x8192 with starter/vqgan"),
    ],
)
def test_what_is_wrong_is_one_line_and_writes_nothing(cli: Cli, args: tuple[str, ...], said: str) -> None:
    photo().save("p.png")
    for name in ("bad.png", "worse.png"):
        Path(name).write_bytes(Path("p.png").read_bytes()[:90])
    np.save("t.npy", np.full((2, 2), 8192))
    np.save("wide.npy", np.zeros((1024, 1024), np.int16))
    before = sorted(path.name for path in Path().iterdir())
    result = cli(*args)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
    assert result.stderr.splitlines()[-1].startswith("error: ")
    assert sorted(path.name for path in Path().iterdir()) == before


def test_too_many_pictures_are_refused(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    photo().save("p.png")
    monkeypatch.setattr(command, "MAX_PICTURES", 1)
    assert "takes up to 1 pictures, got 2" in cli("reconstruct", "p.png", "p.png").stderr


@torch.no_grad()
def check_vqgan(folder: Path, config: dict[str, Any], pictures: Tensor) -> None:
    """The codes and pictures are those of taming's own class, from a checkpoint as its authors write it."""
    model = references.vqgan(config)
    torch.nn.init.normal_(model.quantize.embedding.weight)
    references.save_vqgan(model, folder / "last.ckpt", "plain")
    network: Any = converted(folder / "last.ckpt", "vqgan", config)
    for picture in pictures:
        found = reconstruct(to_pil(picture), network, CPU)
        codes, _, (_, _, indices) = model.encode(as_tensor(found.original) * 2 - 1)
        assert (found.codes.ravel() == indices.flatten().numpy()).all()
        assert largest_difference(found.rebuilt, to_pil((model.decode(codes)[0] + 1) / 2)) <= 1


@torch.no_grad()
def check_dvae(folder: Path, config: dict[str, int], pictures: Tensor) -> None:
    """Likewise dall_e's, as the notebook of its authors uses them."""
    encoder, decoder = references.dvae(config)
    files = [references.save_module(encoder, folder / "e.pkl", False),
             references.save_module(decoder, folder / "d.pkl", True)]  # fmt: skip
    network: Any = converted(files, "dvae", config)
    for picture in pictures:
        found = reconstruct(to_pil(picture), network, CPU)
        codes = torch.argmax(encoder(map_pixels(as_tensor(found.original))), axis=1)  # type: ignore[call-overload]
        one_hot = torch.nn.functional.one_hot(codes, config["vocab_size"]).permute(0, 3, 1, 2).float()
        assert (found.codes == codes[0].numpy()).all()
        theirs = to_pil(unmap_pixels(torch.sigmoid(decoder(one_hot)[:, :3]))[0])
        assert largest_difference(found.rebuilt, theirs) <= 1


def largest_difference(one: Image.Image, other: Image.Image) -> int:
    """Return by how many of 256 levels two pictures differ at most; rounding alone can make it one."""
    return int(np.abs(np.asarray(one, dtype=int) - np.asarray(other, dtype=int)).max())


def converted(files: Any, kind: str, config: dict[str, Any]) -> Any:
    return build_network(convert(files, kind, config)).eval()


def test_codes_are_those_of_the_authors_own_classes(tmp_path: Path) -> None:
    torch.manual_seed(0)
    pictures = torch.stack([as_tensor(photo((64, 48), seed))[0] for seed in range(2)])
    check_vqgan(tmp_path, pretrained.VQGAN_CONFIG, pictures)
    check_dvae(tmp_path, pretrained.DVAE_CONFIG, pictures)


def test_all_are_those_that_are_ready_here_and_own_files_are_among_them(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLIPGEN_CACHE", str(tmp_path / "cache"))
    torch.manual_seed(0)
    photo().save("p.png")
    references.save_vqgan(references.vqgan(pretrained.VQGAN_CONFIG), Path("last.ckpt"), "plain")
    named = json.loads(cli("reconstruct", "p.png", "--vqgan", "starter/vqgan", "--vqgan", "last.ckpt", "--json").stdout)
    starter, own = [row["model"] for row in named["pictures"]]
    assert starter == "starter/vqgan"
    assert own.startswith("vqgan/local-")
    assert [row["size"] for row in named["pictures"]] == [[64, 48]] * 2  # both see the same pixels, in cells of 16
    every = json.loads(cli("reconstruct", "p.png", "--all", "--json").stdout)
    assert [row["model"] for row in every["pictures"]] == ["starter/vqgan", own, "starter/dvae"]
    only = json.loads(cli("reconstruct", "p.png", "--all", "--backend", "vqgan", "--json").stdout)
    assert [row["model"] for row in only["pictures"]] == ["starter/vqgan", own]
    missing = cli("reconstruct", "p.png", "--vqgan", "imagenet-f16-16384", "-o", "nowhere")
    assert missing.exit_code == 3
    assert "clipgen models pull vqgan/imagenet-f16-16384" in missing.stderr
    assert not Path("nowhere").exists()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_codes_at_full_size_are_those_of_the_authors_own_classes(tmp_path: Path) -> None:
    torch.manual_seed(0)
    pictures = as_tensor(photo((128, 96)))
    check_vqgan(tmp_path, FULL_VQGANS["imagenet f16 16384"], pictures)
    check_dvae(tmp_path, FULL_DVAE, pictures)
