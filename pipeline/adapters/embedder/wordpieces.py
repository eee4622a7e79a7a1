"""The model's tokenizer in Rust, without its model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer as RustTokenizer

from pipeline.errors import ModelNotFound


class WordPieces:
    """A `Tokenizer` read from a model's `tokenizer.json`.

    Texts are encoded one by one: the batch call would start a thread per core, and a process that
    forks afterwards may hang.
    """

    def __init__(self, path: Path, *, model: str) -> None:
        """Read the tokenizer.

        Raises:
            ModelNotFound: If the file is missing or no tokenizer.
        """
        if not path.is_file():
            raise ModelNotFound(model=model, missing=str(path))
        try:
            self._tokenizer = RustTokenizer.from_file(str(path))
        except Exception as error:  # the library raises bare Exception for every broken file
            raise ModelNotFound(model=model, broken=str(path), problem=str(error)) from error
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self.special_tokens: int = self._tokenizer.num_special_tokens_to_add(is_pair=False)

    def ids(self, text: str) -> list[int]:
        """Token ids of a text, special tokens included, nothing cut."""
        return self._tokenizer.encode(spelled(text)).ids

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, special tokens included, nothing cut."""
        return [len(self.ids(text)) for text in texts]

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Character spans of the text's tokens, special tokens left out."""
        return self._tokenizer.encode(spelled(text), add_special_tokens=False).offsets

    def keep_end(self, text: str, *, max_tokens: int) -> str:
        """The longest end of a text, cut between tokens, that has at most `max_tokens` tokens."""
        room = max_tokens - self.special_tokens
        keep = room
        spans = self.offsets(text)
        while len(spans) > room:
            text = text[spans[-keep][0] :] if keep > 0 else ""
            spans = self.offsets(text)
            keep -= 1
        return text


def spelled(text: str) -> str:
    """The text with lone surrogates, which no encoding can spell, as question marks; offsets stay."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="replace").decode()
    return text
