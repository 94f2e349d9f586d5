"""The contract of stores: parcels in, named by their content, and out again on another machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from search.store.inputs import Input


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
    def put(self, source: Path, only: Sequence[str] = (), *, anew: bool = False) -> Parcel:
        """Stores the folder or the file, packed, whole or not at all. `only`: as for `parcels.pack`. `anew`: even what
        is there, which has turned out to be damaged. Raises ParcelDamaged, OSError as `parcels.pack` does.
        """
        ...

    def fetch(self, parcel: Parcel) -> Iterator[bytes]:
        """Its stream in parts, as they were found: `parcels.unpack` says whether it is whole. Raises ParcelDamaged
        where it is not there."""
        ...


class Sender:
    """Puts inputs into a store, each content once as long as its files do not change."""

    def __init__(self, store: ParcelStore) -> None:
        self._store = store
        self._sent: dict[tuple[Path, tuple[str, ...]], tuple[Any, Sent]] = {}
        self._doubted: set[tuple[Path, tuple[str, ...]]] = set()

    def send(self, given: Input) -> Sent:
        key, signature = (given.path, given.only), _signature(given)
        known = self._sent.get(key)
        if known is None or known[0] != signature:
            known = signature, Sent(given, self._store.put(given.path, given.only, anew=key in self._doubted))
            self._sent[key] = known
            self._doubted.discard(key)
        return Sent(given, known[1].parcel)

    def doubt(self, inputs: Sequence[Input]) -> None:
        """They may not be whole in the store: next time they are put there anew."""
        for given in inputs:
            if self._sent.pop((given.path, given.only), None) is not None:
                self._doubted.add((given.path, given.only))

    def keep_lasting(self) -> None:
        """Forgets of what was sent all but that which further jobs are likely to need."""
        self._sent = {key: known for key, known in self._sent.items() if known[1].input.lasting}


def _signature(given: Input) -> Any:
    """Changes when the content does."""
    tops = [given.path / name for name in given.only] or [given.path]
    files = [file for top in tops for file in (top, *(top.rglob("*") if top.is_dir() else ())) if file.is_file()]
    return sorted((str(file), (found := file.stat()).st_size, found.st_mtime_ns) for file in files)
