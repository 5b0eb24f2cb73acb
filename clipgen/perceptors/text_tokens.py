"""From texts to token ids: the tokenizer that a CLIP's config asks for."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from open_clip.model import CLIPTextCfg
from open_clip.tokenizer import DEFAULT_CONTEXT_LENGTH, HFTokenizer, SimpleTokenizer, get_clean_fn
from torch import Tensor

from clipgen.errors import ClipgenError, WeightsMissingError
from clipgen.util.text import one_line, quoted
from clipgen.weights.files import hub_file

BYTE_TOKENS = 512  # each byte, alone and at the end of a word; they precede the merges
TOKENIZER_FILES = ("tokenizer_config.json", "tokenizer.json", "special_tokens_map.json")
CLEANINGS = ("canonicalize", "lower", "whitespace")
"""What open_clip can do to a text first, as its configs name it."""
MAX_REASON = 120


@cache
def _tokenizer() -> SimpleTokenizer:
    return SimpleTokenizer()  # which takes a quarter of a second, as it reads all merges


def whole_tokenizer(context_length: int, clean: str = "lower") -> SimpleTokenizer:
    """Return open_clip's byte-pair tokenizer. clean: one of `CLEANINGS`."""
    tokenizer = copy.copy(_tokenizer())
    tokenizer.context_length, tokenizer.cache = context_length, dict(tokenizer.cache)
    tokenizer.clean_fn = get_clean_fn(clean)
    return tokenizer


def small_tokenizer(merges: int, context_length: int) -> SimpleTokenizer:
    """Return open_clip's byte-pair tokenizer, reduced to the first `merges` of its merges."""
    tokenizer = whole_tokenizer(context_length)
    tokens = list(tokenizer.encoder)
    specials = [tokenizer.decoder[number] for number in tokenizer.all_special_ids]
    tokenizer.encoder = {token: number for number, token in enumerate(tokens[: BYTE_TOKENS + merges] + specials)}
    tokenizer.decoder = {number: token for token, number in tokenizer.encoder.items()}
    tokenizer.bpe_ranks = dict(list(tokenizer.bpe_ranks.items())[:merges])
    tokenizer.all_special_ids = [tokenizer.encoder[token] for token in specials]
    tokenizer.sot_token_id, tokenizer.eot_token_id = tokenizer.all_special_ids
    tokenizer.vocab_size = len(tokenizer.encoder)
    return tokenizer


class HubTokenizer:
    """A tokenizer of transformers from the cache of the Hugging Face hub, called as open_clip does.

    name: its repository, "owner/name". strip_sep_token: replace separators by 0. Asks no server and runs no code of the
    repository. Raises WeightsMissingError, which says how to get it, if it or the package transformers is not here.
    """

    def __init__(self, name: str, context_length: int, clean: str = "whitespace", *, strip_sep_token: bool = False):
        self.context_length = context_length
        folder = _folder(name)
        try:
            self._tokenizer = HFTokenizer(
                str(folder), context_length, clean, strip_sep_token=strip_sep_token, local_files_only=True
            )
        except ImportError as error:
            raise WeightsMissingError(
                f"this CLIP reads texts by the tokenizer {quoted(name)}, for which packages are missing "
                f"({one_line(str(error), MAX_REASON)}): pip install transformers sentencepiece"
            ) from error
        except Exception as error:  # what is wrong with a stranger's files may raise anything
            reason = one_line(repr(error), MAX_REASON)
            raise ClipgenError(f"the tokenizer {quoted(name)} of this CLIP cannot be read ({reason})") from error
        self.vocab_size = len(self._tokenizer.tokenizer)

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """Encode N texts as token ids (N, T), truncated to the context length and padded."""
        numbers: Tensor = self._tokenizer(list(texts))
        return numbers

    def length(self, text: str) -> int:
        """Return how many tokens a text has, with those at its ends."""
        return len(self._tokenizer.tokenizer(self._tokenizer.clean_fn(text)).input_ids)


def _folder(name: str) -> Path:
    """Return the folder of a tokenizer in the cache of the hub."""
    found = hub_file(name, TOKENIZER_FILES[0])
    if found is None:
        raise WeightsMissingError(
            f"this CLIP reads texts by the tokenizer {quoted(name)}, which is not in the cache of the Hugging Face "
            f"hub; get it with: pip install transformers sentencepiece && "
            f"hf download {name} {' '.join(TOKENIZER_FILES)}"
        )
    return found.parent


def tokenizer_of(config: Mapping[str, Any]) -> SimpleTokenizer | HubTokenizer:
    """Return the tokenizer of a CLIP's config, whose `text_cfg` is in the words of open_clip; `merges` limits it.

    Raises ClipgenError for what is not supported, and if the CLIP does not know all tokens.
    """
    text = config["text_cfg"]
    length = text.get("context_length", DEFAULT_CONTEXT_LENGTH)
    name, said = text.get("hf_tokenizer_name"), text.get("tokenizer_kwargs") or {}
    if "merges" in config:
        tokenizer: SimpleTokenizer | HubTokenizer = small_tokenizer(config["merges"], length)
    elif name:
        tokenizer = HubTokenizer(str(name), length, **_checked(said, ("clean", "strip_sep_token")))
    else:
        tokenizer = whole_tokenizer(length, **_checked(said, ("clean",)))
    if tokenizer.vocab_size > (known := text.get("vocab_size", CLIPTextCfg.vocab_size)):
        raise ClipgenError(f"a CLIP must know the {tokenizer.vocab_size} tokens of its tokenizer, not {known}")
    return tokenizer


def _checked(said: Mapping[str, Any], known: Sequence[str]) -> dict[str, Any]:
    """Return the settings of a tokenizer. Raises ClipgenError for others than the known."""
    for name, value in said.items():
        if name not in known or value not in (CLEANINGS if name == "clean" else (True, False)):
            raise ClipgenError(f"a CLIP whose tokenizer has {name} {quoted(value)} is not supported")
    return dict(said)


def token_count(tokenizer: SimpleTokenizer | HubTokenizer, text: str) -> int:
    """Return how many tokens a text has, with the start and end tokens, however long it is."""
    if isinstance(tokenizer, HubTokenizer):
        return tokenizer.length(text)
    return len(tokenizer.encode(text)) + 2
