"""How fast adapters go into a store and come out of it, against what 512 workers bring.

    python -m tests.benchmarks.store_throughput [--adapters 6] [--megabytes 194] [--s3] [--out FILE]

An adapter of rank 32 on every linear layer of a Llama of three billion parameters has 194 MB. `put`: packed, hashed and
stored, as on a node; `take`: fetched, hashed and unpacked, as by the driver, one after the other. In turn with them the
same file is copied within this machine's disk and flushed. The store is a folder on that disk; `--s3` (needs what `make
test-store` installs in build/store) adds a server that speaks S3, in memory on this machine: a real bucket's network
and limits are not in its figure, only what the S3 packages take.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from search.store.base import bring
from search.store.url_store import UrlStore
from tests.benchmarks.machine import machine

OUTPUT = Path(__file__).with_suffix(".json")
WORKERS, MINUTES = 512, (1, 5, 30)


def _copied(source: Path, target: Path) -> None:
    target.mkdir()
    with (source / "adapter_model.safetensors").open("rb") as file, (target / "copy").open("xb") as copy:
        while part := file.read(2**23):
            copy.write(part)
        copy.flush()
        os.fsync(copy.fileno())


def _remove(folder: Path) -> None:
    shutil.rmtree(folder)
    os.sync()


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    found = work()
    return time.perf_counter() - began, found


def measured(urls: dict[str, str], place: Path, adapters: int, megabytes: int) -> dict[str, dict[str, float]]:
    """Megabytes a second."""
    taken = defaultdict[str, list[float]](list)
    for number in range(adapters):
        source = place / f"adapter-{number}"
        source.mkdir()
        (source / "adapter_model.safetensors").write_bytes(os.urandom(megabytes * 10**6))
        os.sync()
        for name, url in urls.items():
            seconds, parcel = _timed(partial(UrlStore(url).put, source))
            taken[f"{name}: put"].append(seconds)
            seconds, _ = _timed(partial(bring, UrlStore(url), parcel, place / "back"))
            taken[f"{name}: take"].append(seconds)
            _remove(place / "back")
        seconds, _ = _timed(partial(_copied, source, place / "copied"))
        taken["copied on the disk"].append(seconds)
        _remove(place / "copied")
        _remove(source)
    return {
        name: {"median": round(megabytes / statistics.median(each), 1), "slowest": round(megabytes / max(each), 1)}
        for name, each in taken.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--adapters", type=int, default=6)
    parser.add_argument("--megabytes", type=int, default=194)
    parser.add_argument("--s3", action="store_true")
    parser.add_argument("--out", type=Path, default=OUTPUT)
    options = parser.parse_args()
    load = os.getloadavg()
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="store-throughput-", dir=".")))
        urls = {"folder": f"file://{place.resolve()}/store"}
        if options.s3:
            from tests.search.bucket_servers import s3_server

            urls["S3 on this machine"] = stack.enter_context(s3_server())
        found = measured(urls, place, options.adapters, options.megabytes)
    takes = {name: each["median"] for name, each in found.items() if name.endswith("take")}
    written = {
        **machine(),
        "cpus": os.cpu_count(),
        "load_average": load,
        "adapters": options.adapters,
        "megabytes of an adapter": options.megabytes,
        "megabytes a second": found,
        "megabytes a second that 512 workers bring, by minutes of a job": {
            str(minutes): round(WORKERS * options.megabytes / 60 / minutes, 1) for minutes in MINUTES
        },
        "workers that a driver keeps up with, by minutes of a job": {
            name: {str(minutes): int(rate / options.megabytes * 60 * minutes) for minutes in MINUTES}
            for name, rate in takes.items()
        },
    }
    options.out.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(written, indent=1))


if __name__ == "__main__":
    main()
