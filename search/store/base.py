"""The contract of stores: parcels in, named by their content, and out again on another machine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from search.store.inputs import Input
from search.store.parcels import ParcelDamaged, unpack


@dataclass(frozen=True, slots=True)
class Parcel:
    """What is in a store."""

    sha256: str
    """Of the stream (`search.store.parcels`), hex."""
    parts: tuple[Any, ...] = ()
    """Where its parts are, for a store that does not find them by the SHA-256."""


@dataclass(frozen=True, slots=True)
class Sent:
    """An input on its way."""

    input: Input
    parcel: Parcel


class ParcelStore(Protocol):
    def put(self, source: Path, only: Sequence[str] = ()) -> Parcel:
        """Stores the folder or the file, packed, whole or not at all. `only`: as for `parcels.pack`. Raises
        ParcelDamaged, OSError as `parcels.pack` does."""
        ...

    def fetch(self, parcel: Parcel) -> Iterator[bytes]:
        """Its stream in parts, as they were found: `parcels.unpack` says whether it is whole. Raises ParcelDamaged
        where it is not there."""
        ...

    def discard(self, parcel: Parcel) -> None:
        """It has turned out to be damaged: putting its content stores it anew."""
        ...


def bring(store: ParcelStore, parcel: Parcel, folder: Path) -> None:
    """Puts what was packed in the place of the folder. Raises ParcelDamaged, OSError as `parcels.unpack` does."""
    try:
        unpack(store.fetch(parcel), parcel.sha256, folder)
    except ParcelDamaged:
        store.discard(parcel)
        raise


class Sender:
    """Puts inputs into a store, each content once as long as its files do not change."""

    def __init__(self, store: ParcelStore) -> None:
        self._store = store
        self._sent: dict[tuple[Path, tuple[str, ...]], tuple[Any, Sent]] = {}

    def send(self, given: Input) -> Sent:
        key, signature = (given.path, given.only), _signature(given)
        known = self._sent.get(key)
        if known is None or known[0] != signature:
            known = signature, Sent(given, self._store.put(given.path, given.only))
            self._sent[key] = known
        return Sent(given, known[1].parcel)

    def forget(self, inputs: Iterable[Input]) -> None:
        """The store may have lost them: next time they are put there again."""
        for given in inputs:
            self._sent.pop((given.path, given.only), None)

    def keep_lasting(self) -> None:
        """Forgets of what was sent all but that which further jobs are likely to need."""
        self._sent = {key: known for key, known in self._sent.items() if known[1].input.lasting}


def _signature(given: Input) -> Any:
    """Changes when the content does."""
    tops = [given.path / name for name in given.only] or [given.path]
    files = [file for top in tops for file in (top, *(top.rglob("*") if top.is_dir() else ())) if file.is_file()]
    return sorted((str(file), (found := file.stat()).st_size, found.st_mtime_ns) for file in files)
