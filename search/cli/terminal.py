"""Terminals that know ASCII alone: what is printed on them is written out, and nothing breaks."""

from __future__ import annotations

import codecs
import os
import sys
from io import TextIOWrapper

WRITTEN_OUT = str.maketrans(
    {
        "—": "-",
        "–": "-",
        "−": "-",
        "±": "+/-",
        "×": "x",
        "→": "->",
        "…": "...",
        "≥": ">=",
        "≤": "<=",
        "≈": "~",
        "Δ": "d",
    }
    | {"“": '"', "”": '"', "‘": "'", "’": "'", "·": "-", "\N{NO-BREAK SPACE}": " "}
)


COERCED = ("C.UTF-8", "C.utf8", "UTF-8")


def _write_out(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    text = error.object[error.start : error.end].translate(WRITTEN_OUT)
    return text.encode("ascii", "replace").decode(), error.end


class _Encoder(codecs.IncrementalEncoder):
    def encode(self, text: str, final: bool = False) -> bytes:
        return codecs.ascii_encode(text, "written_out")[0]


def _plain_ascii(name: str) -> codecs.CodecInfo | None:
    """Under a name of its own, since typer writes UTF-8 to what is called ASCII."""
    if name != "plain_ascii":
        return None
    return codecs.CodecInfo(
        lambda text, errors="": codecs.ascii_encode(text, "written_out"),
        codecs.ascii_decode,
        incrementalencoder=_Encoder,
        name=name,
    )


codecs.register_error("written_out", _write_out)
codecs.register(_plain_ascii)


def write_out_what_cannot_be_shown() -> None:
    """Makes standard output and error write in ASCII the signs that their encoding lacks. A terminal whose locale is C
    or POSIX gets ASCII alone, so that tables have no boxes of Unicode; a file there gets UTF-8, as Python writes it.
    """
    # Python itself sets LC_CTYPE to UTF-8 where LANG is C (PEP 538), whatever the terminal knows.
    kind = os.environ.get("LC_CTYPE", "")
    named = (os.environ.get("LC_ALL"), "" if kind in COERCED else kind, os.environ.get("LANG"))
    locale = next(filter(None, named), "")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            plain = codecs.lookup(stream.encoding).name == "ascii" or (locale in ("C", "POSIX") and stream.isatty())
            stream.reconfigure(encoding="plain_ascii" if plain else stream.encoding, errors="written_out")
