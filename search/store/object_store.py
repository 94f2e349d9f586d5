"""Ray's object store as a store of parcels: in the memory of the cluster, gone with the driver."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from search.store.base import Parcel
from search.store.parcels import ParcelDamaged, pack

FETCH_SECONDS = 600.0
"""After which an object that a node waits for counts as lost."""


class RayObjectStore:
    """Implements `search.store.base.ParcelStore` within a driver or a task of Ray."""

    def put(self, source: Path, only: Sequence[str] = ()) -> Parcel:
        import ray

        digest, parts = hashlib.sha256(), []
        for part in pack(source, only):
            digest.update(part)
            parts.append(ray.put(part))
        return Parcel(digest.hexdigest(), tuple(parts))

    def fetch(self, parcel: Parcel) -> Iterator[bytes]:
        import ray

        lost = (ray.exceptions.ObjectLostError, ray.exceptions.GetTimeoutError, ray.exceptions.ObjectStoreFullError)
        for part in parcel.parts:
            try:
                yield ray.get(part, timeout=FETCH_SECONDS)
            except lost as error:
                raise ParcelDamaged(str(error)) from None

    def discard(self, parcel: Parcel) -> None:
        """Nothing to do: what is put again are other objects."""
