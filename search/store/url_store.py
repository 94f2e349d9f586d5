"""A store behind a URL, through fsspec: a folder that all machines see, or a bucket.

    parcels/SHA256                    what jobs read and leave, packed (`search.store.parcels`)
    results/SEARCH/JOB, submitted/... small objects of the executors, by the search and the digest of the job

Credentials come from the environment of whoever opens it, never from the URL.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rewards_generated.errors import UserError, nearest
from search.store.base import Parcel
from search.store.parcels import PART_BYTES, ParcelDamaged, pack

PACKAGES = {"file": "fsspec", "s3": "s3fs", "gs": "gcsfs"}
"""That a scheme needs."""
CREDENTIALS = ("AWS_", "GOOGLE_", "GCE_", "FSSPEC_")
"""How variables begin from which these packages take what opens a store. No job sees them."""
FIELD = "executor.options.store"


class StoreFailed(UserError):
    """The store cannot be reached, or does not let one in."""


class UrlStore:
    """Implements `search.store.base.ParcelStore`. A parcel that is there is not sent again."""

    def __init__(self, url: str) -> None:
        """Raises UserError for a URL that names no store, and where the package for it is missing. Connects to
        nothing."""
        scheme, separator, rest = url.partition("://")
        if not separator or not rest.strip("/") or "::" in url:
            raise UserError(f"{FIELD} = {url!r}: write file:///FOLDER, s3://BUCKET/PREFIX or gs://BUCKET/PREFIX")
        if scheme not in PACKAGES:
            raise UserError(f"{FIELD} = {url!r}: there is no store of the kind {scheme!r}: {nearest(scheme, PACKAGES)}")
        if scheme == "file" and not rest.startswith("/"):
            raise UserError(f"{FIELD} = {url!r}: write the whole path, as in file:///shared/store")
        if scheme != "file" and re.search(r"[@?]", rest):
            # Without the URL: it may hold a secret.
            raise UserError(f"{FIELD}: leave keys and options out of the URL; they are taken from the environment")
        if find_spec(PACKAGES[scheme]) is None:
            raise UserError(f"{FIELD} = {url!r} needs the package {PACKAGES[scheme]}: pip install {PACKAGES[scheme]}")
        self.url, self._scheme = url.rstrip("/"), scheme
        self._root = f"/{rest.strip('/')}" if scheme == "file" else rest.strip("/")

    def require(self) -> None:
        """Raises StoreFailed where something cannot be written, read and removed."""
        # As text: gcsfs ends a small object with a bare line feed, and a carriage return before it may be lost.
        name, content = f"probe-{secrets.token_hex(8)}", secrets.token_hex(8).encode()
        self.write(name, content)
        found = self.read(name)
        self.remove(name)
        if found != content:
            raise StoreFailed(f"the store {self.url} gives back something else than what was written")

    def put(self, source: Path, only: Sequence[str] = ()) -> Parcel:
        """Reads the source once to name its content, and again to send it. Raises StoreFailed too."""
        digest, size = hashlib.sha256(), 0
        for part in pack(source, only):
            digest.update(part)
            size += len(part)
        name = _parcel(digest.hexdigest())
        if self._size(name) != size:
            self._write(name, _checked(pack(source, only), digest.hexdigest(), source))
        return Parcel(digest.hexdigest())

    def fetch(self, parcel: Parcel) -> Iterator[bytes]:
        path = self._path(_parcel(parcel.sha256))
        with self._told():
            try:
                file = self._files.open(path, "rb", block_size=PART_BYTES)
            except FileNotFoundError:
                raise ParcelDamaged(f"{parcel.sha256[:12]} is not in the store {self.url}") from None
        try:
            while True:
                with self._told():
                    try:
                        part = file.read(PART_BYTES)
                    except FileNotFoundError:
                        raise ParcelDamaged(f"{parcel.sha256[:12]} vanished from the store {self.url}") from None
                if not part:
                    return
                yield part
        finally:
            file.close()

    def discard(self, parcel: Parcel) -> None:
        self.remove(_parcel(parcel.sha256))

    def write(self, name: str, content: bytes) -> None:
        """A small object, whole or not at all."""
        self._write(name, [content])

    def read(self, name: str) -> bytes | None:
        """A small object; None if it is not there."""
        with self._told():
            try:
                found: bytes = self._files.cat_file(self._path(name))
            except FileNotFoundError:
                return None
            return found

    def remove(self, name: str) -> None:
        """Where it is there."""
        with self._told(), suppress(FileNotFoundError):
            self._files.rm_file(self._path(name))

    def names(self, folder: str) -> set[str]:
        """Of the objects right below it."""
        with self._told():
            try:
                found = self._files.ls(self._path(folder), detail=False)
            except FileNotFoundError:
                return set()
            return {path.rpartition("/")[2] for path in found}

    @cached_property
    def _files(self) -> Any:
        import fsspec

        logging.getLogger("aiobotocore.credentials").setLevel(logging.WARNING)
        # A listing that is kept would hide what other machines have written meanwhile.
        return fsspec.filesystem(self._scheme, use_listings_cache=False, skip_instance_cache=True)

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _size(self, name: str) -> int | None:
        with self._told():
            try:
                size: int = self._files.info(self._path(name))["size"]
            except FileNotFoundError:
                return None
            return size

    def _write(self, name: str, parts: Iterable[bytes]) -> None:
        """Whoever looks meanwhile finds what was there before; so does everybody if the parts raise."""
        path = self._path(name)
        if self._scheme == "file":
            self._write_file(Path(path), parts)
            return
        stream = iter(parts)
        first = next(stream, b"")
        second = next(stream, None)
        if second is None:
            with self._told():
                self._files.pipe_file(path, first)
            return
        with self._told():
            file = self._files.open(path, "wb", block_size=PART_BYTES, autocommit=False)
        try:
            for part in (first, second, *stream):
                with self._told():
                    file.write(part)
            with self._told():
                file.close()
                file.commit()
        except BaseException:
            # Else the file would complete itself when it is collected.
            file.closed = True
            with suppress(Exception):
                file.discard()
            raise

    def _write_file(self, path: Path, parts: Iterable[bytes]) -> None:
        partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        with self._told():
            path.parent.mkdir(parents=True, exist_ok=True)
            file = partial.open("xb")
        try:
            with file:
                for part in parts:
                    with self._told():
                        file.write(part)
                with self._told():
                    file.flush()
                    os.fsync(file.fileno())
            with self._told():
                partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turns whatever the store raises into a sentence."""
        try:
            yield
        except ParcelDamaged:
            raise
        except Exception as error:
            why = getattr(error, "strerror", None) or str(error).strip().partition("\n")[0] or type(error).__name__
            if self._scheme != "file" and isinstance(error, FileNotFoundError):
                why = "there is no such bucket"  # gcsfs names the address that it asked
            raise StoreFailed(f"the store {self.url} cannot be used: {why.rstrip('.')}") from error


def _parcel(sha256: str) -> str:
    return f"parcels/{sha256}"


def _checked(parts: Iterable[bytes], sha256: str, source: Path) -> Iterator[bytes]:
    """Raises ParcelDamaged at the end where it is not that content any more."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
        yield part
    if digest.hexdigest() != sha256:
        raise ParcelDamaged(f"{source} changed while it was read")
