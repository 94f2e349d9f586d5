"""Files and folders as streams of bytes that are the same for the same content, and back again, whole or not at all.

A stream is a tar archive with names, contents and nothing of time, owner or rights; its SHA-256 names the content.
"""

from __future__ import annotations

import hashlib
import shutil
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rewards_generated.files import partial_of, replace_folder

PART_BYTES = 16 * 2**20
"""Of a stream that is sent in parts; the last one may have fewer."""


class ParcelDamaged(Exception):
    """What arrived is not what was sent, or what was sent changed meanwhile; the message is a sentence."""


def pack(source: Path, only: Sequence[str] = ()) -> Iterator[bytes]:
    """The folder, or the one file, as a stream in parts of `PART_BYTES`; `only`: of the folder these paths alone, as
    far as they are there. Links are followed. Raises ParcelDamaged if a file changes its size meanwhile, OSError.
    """
    buffer = bytearray()
    for block in _blocks(source, only):
        buffer += block
        while len(buffer) >= PART_BYTES:
            yield bytes(buffer[:PART_BYTES])
            del buffer[:PART_BYTES]
    yield bytes(buffer)


def unpack(parts: Iterable[bytes], sha256: str, folder: Path) -> None:
    """Puts what was packed in the place of the folder, if its SHA-256 is that one; else raises ParcelDamaged, and the
    folder stays as it was. A single file comes to lie in the folder. Nobody else may write it at the same time."""
    partial = partial_of(folder)
    partial.mkdir(parents=True)
    stream: Any = _Stream(iter(parts))
    try:
        try:
            with tarfile.open(fileobj=stream, mode="r|", bufsize=2**20) as archive:
                archive.extractall(partial, filter="data")
            while stream.read(PART_BYTES):
                pass
        except (tarfile.TarError, EOFError) as error:
            raise ParcelDamaged(f"{folder.name} arrived damaged: {error}") from None
        if (found := stream.digest.hexdigest()) != sha256:
            raise ParcelDamaged(
                f"{folder.name} arrived damaged: its SHA-256 is {found[:12]}, what was sent had {sha256[:12]}"
            )
        replace_folder(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _blocks(source: Path, only: Sequence[str]) -> Iterator[bytes]:
    root = source if source.is_dir() else source.parent
    if not source.is_dir():
        found = [source]
    elif only:
        named = [root / name for name in only if (root / name).exists()]
        found = sorted({path for top in named for path in (top, *(top.rglob("*") if top.is_dir() else ()))})
    else:
        found = sorted(root.rglob("*"))
    for path in found:
        entry = tarfile.TarInfo(path.relative_to(root).as_posix())
        if path.is_dir():
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            yield entry.tobuf(tarfile.PAX_FORMAT)
            continue
        entry.size, entry.mode = path.stat().st_size, 0o644
        yield entry.tobuf(tarfile.PAX_FORMAT)
        read = 0
        with path.open("rb") as file:
            while piece := file.read(min(PART_BYTES, entry.size - read)):
                read += len(piece)
                yield piece
        if read < entry.size or path.stat().st_size != entry.size:
            raise ParcelDamaged(f"{path} changed while it was read")
        yield bytes(-entry.size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)


@dataclass
class _Stream:
    """A file to read from that is made of parts, hashed on the way."""

    parts: Iterator[bytes]
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)
    left: memoryview = field(default_factory=lambda: memoryview(b""))

    def read(self, size: int) -> bytes:
        if not self.left:
            self.left = memoryview(next(self.parts, b""))
            self.digest.update(self.left)
        found, self.left = self.left[:size], self.left[size:]
        return bytes(found)
