"""Servers that speak S3 and Google Cloud Storage, for tests marked `store`."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.search.executors.small_slurm import free_port
from tests.search.executors.test_local import wait_for

BUCKET = "rewards"
SECRET = "canary-of-the-store"


@contextmanager
def s3_server() -> Iterator[str]:
    """URL of an empty bucket; within it the environment opens it."""
    port = free_port()
    variables = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "someone",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    command = ["-c", "from moto.server import main; main()", "-H", "127.0.0.1", "-p", str(port)]
    with _server(command, port, variables):
        import s3fs

        s3fs.S3FileSystem(skip_instance_cache=True).mkdir(BUCKET)
        yield f"s3://{BUCKET}"


@contextmanager
def gs_server() -> Iterator[str]:
    """As `s3_server`. The emulator asks for no credentials."""
    port = free_port()
    # In words that go along to Ray's processes, which STORAGE_EMULATOR_HOST does not.
    variables = {
        "FSSPEC_GS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "FSSPEC_GS_TOKEN": "anon",
        "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",  # goes past the endpoint, by gRPC
    }
    command = ["-m", "gcp_storage_emulator", "start", "--host=127.0.0.1", f"--port={port}", "--in-memory", "--quiet"]
    with _server([*command, f"--default-bucket={BUCKET}"], port, variables), pytest.MonkeyPatch.context() as patch:
        from fsspec.config import conf, set_conf_env

        # This process read its environment when fsspec was imported.
        patch.setitem(conf, "gs", {})
        set_conf_env(conf, {name: value for name, value in variables.items() if name.startswith("FSSPEC_")})
        yield f"gs://{BUCKET}"


@contextmanager
def _server(arguments: list[str], port: int, variables: dict[str, str]) -> Iterator[None]:
    server = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        try:
            wait_for(lambda: not socket.socket().connect_ex(("127.0.0.1", port)), 120)
            yield
        finally:
            server.kill()
            server.wait()
