"""A Ray cluster whose nodes take what they need from a bucket, and leave there what they did."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from search.cli import main
from search.store.url_store import UrlStore
from tests.search.bucket_servers import SECRET
from tests.search.executors.instant_on_ray import InstantOnRay
from tests.search.executors.test_local import wait_for
from tests.search.executors.test_ray import NODE, log_files, ray_cluster
from tests.search.searches import run_search, write_config

pytestmark = pytest.mark.store


@pytest.fixture(scope="module")
def cluster(bucket: str) -> Iterator[Any]:
    """Its processes inherit what opens the bucket."""
    pytest.importorskip("ray", reason="needs ray, which `make test-store` installs")
    with ray_cluster(NODE) as found:
        yield found


def test_a_killed_driver_s_search_is_finished_elsewhere_to_the_local_leaderboard(
    cluster: Any, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, alone = run_search(tmp_path, name="alone")
    assert code == 0
    options = {"address": cluster.address, "node_folder": str(tmp_path / "node"), "store": f"{bucket}/searches"}
    config = write_config(tmp_path, executor={"name": f"{InstantOnRay.__module__}:InstantOnRay", "options": options})
    run, moved, store = tmp_path / "spread", tmp_path / "moved", UrlStore(options["store"])

    def ended() -> set[str]:
        """Jobs of which the bucket has all that they left."""
        return {name for search in store.names("results") for name in store.names(f"results/{search}")}

    command = [sys.executable, "-m", "search.cli", "run", "--config", str(config), "--run-dir", str(run)]
    with subprocess.Popen(command, start_new_session=True) as first:
        wait_for(lambda: len(ended()) > 3, 300)
        first.kill()
    shutil.copytree(run, moved, ignore=shutil.ignore_patterns("jobs"))
    shutil.rmtree(run)
    before, submitted = ended(), set[str]()
    real = InstantOnRay._submit

    def submit(self: InstantOnRay, asked: Any, folder: Path) -> Any:
        submitted.add(asked.digest)
        return real(self, asked, folder)

    monkeypatch.setattr(InstantOnRay, "_submit", submit)
    assert main(["run", "--run-dir", str(moved), "--resume", "--trust"]) == 0
    assert (moved / "leaderboard.json").read_bytes() == (alone / "leaderboard.json").read_bytes()
    assert submitted
    assert not submitted & before
    kept = [path for folder in (moved, tmp_path / "node") for path in folder.rglob("*") if path.is_file()]
    assert not any(SECRET.encode() in path.read_bytes() for path in (*kept, *log_files()))
