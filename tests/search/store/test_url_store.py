"""Parcels behind a URL: the same from every kind of store, whole or not at all, and no secret in the URL."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rewards_generated.errors import UserError
from search.store import parcels, url_store
from search.store.base import Parcel, bring
from search.store.parcels import ParcelDamaged, pack, unpack
from search.store.url_store import StoreFailed, UrlStore
from tests.search.store.test_parcels import contents, filled


@pytest.fixture(params=["file", *(pytest.param(kind, marks=pytest.mark.store) for kind in ("s3", "gs"))])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> UrlStore:
    if request.param == "file":
        return UrlStore(f"file://{tmp_path}/store")
    return UrlStore(f"{request.getfixturevalue(request.param)}/{tmp_path.parent.name}/{tmp_path.name}")


def put_anyhow(store: UrlStore, sha256: str, content: bytes) -> None:
    """As no writer of ours leaves it."""
    store.write(f"parcels/{sha256}", content)


def test_what_was_put_comes_out_by_its_content_and_is_sent_once(
    store: UrlStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = filled(tmp_path / "source")
    parcel = store.put(source)
    assert parcel == Parcel(hashlib.sha256(b"".join(pack(source))).hexdigest())
    unpack(UrlStore(store.url).fetch(parcel), parcel.sha256, tmp_path / "back")
    assert contents(tmp_path / "back") == contents(source)
    wrote = list[str]()
    real = store._write
    monkeypatch.setattr(store, "_write", lambda name, parts: (wrote.append(name), real(name, parts)))
    assert store.put(source) == parcel
    assert wrote == []
    store.put(source, ("members",))
    assert len(wrote) == 1


def test_a_parcel_of_many_parts_arrives_in_parts(
    store: UrlStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 6 * 2**20  # S3 takes no smaller parts
    monkeypatch.setattr(parcels, "PART_BYTES", size)
    monkeypatch.setattr(url_store, "PART_BYTES", size)
    weights = tmp_path / "weights"
    weights.write_bytes(os.urandom(3 * size))
    parcel = store.put(weights)
    parts = list(store.fetch(parcel))
    assert len(parts) == 4
    unpack(parts, parcel.sha256, tmp_path / "back")
    assert (tmp_path / "back" / "weights").read_bytes() == weights.read_bytes()


@pytest.mark.parametrize("damage", [lambda whole: whole[:2000], lambda whole: whole[:1030] + b"?" + whole[1031:]])
def test_what_is_half_there_or_altered_is_not_taken_and_can_be_put_anew(
    store: UrlStore, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    source = filled(tmp_path / "source")
    parcel = store.put(source)
    put_anyhow(store, parcel.sha256, damage(b"".join(pack(source))))
    with pytest.raises(ParcelDamaged, match="arrived damaged"):
        bring(store, parcel, tmp_path / "back")
    assert not (tmp_path / "back").exists()
    store.put(source)
    bring(store, parcel, tmp_path / "back")
    assert contents(tmp_path / "back") == contents(source)


def test_what_is_half_there_is_put_again_without_being_told(store: UrlStore, tmp_path: Path) -> None:
    source = filled(tmp_path / "source")
    parcel = store.put(source)
    put_anyhow(store, parcel.sha256, b"".join(pack(source))[:2000])
    assert store.put(source) == parcel
    bring(store, parcel, tmp_path / "back")


def test_what_vanished_is_a_sentence_and_put_again_without_being_told(store: UrlStore, tmp_path: Path) -> None:
    source = filled(tmp_path / "source")
    parcel = store.put(source)
    store.discard(parcel)
    store.discard(parcel)
    with pytest.raises(ParcelDamaged, match=rf"{parcel.sha256[:12]} is not in the store {store.url}"):
        list(store.fetch(parcel))
    assert store.put(source) == parcel
    assert list(store.fetch(parcel))


@pytest.mark.parametrize("parts", [1, 3])
def test_a_writer_that_breaks_off_leaves_nothing(
    store: UrlStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parts: int
) -> None:
    size = 6 * 2**20
    monkeypatch.setattr(url_store, "PART_BYTES", size)

    def breaks_off(*_: object) -> Iterator[bytes]:
        for _ in range(parts):
            yield bytes(size)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store._write("parcels/one", breaks_off())
    assert store.names("parcels") == set()
    assert store.read("parcels/one") is None


def test_a_source_that_changes_while_it_is_read_is_not_stored(
    store: UrlStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = filled(tmp_path / "source")
    real = store._size

    def change(name: str) -> int | None:
        (source / "log.txt").write_text("wörter\n", encoding="utf-8")
        return real(name)

    monkeypatch.setattr(store, "_size", change)
    with pytest.raises(ParcelDamaged, match="changed while it was read"):
        store.put(source)
    assert store.names("parcels") == set()


def test_small_objects_are_written_read_listed_and_removed(store: UrlStore) -> None:
    store.require()
    assert store.read("results/x/1") is None
    assert store.names("results/x") == set()
    for name in ("1", "2"):
        store.write(f"results/x/{name}", name.encode())
    # What another machine writes is seen at once.
    assert store.names("results/x") == {"1", "2"}
    UrlStore(store.url).write("results/x/3", b"3")
    UrlStore(store.url).write("results/x/1", b"again")
    assert store.names("results/x") == {"1", "2", "3"}
    assert store.read("results/x/1") == b"again"
    store.remove("results/x/3")
    assert store.names("results/x") == {"1", "2"}


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("/shared/store", r"'/shared/store': write file:///FOLDER, s3://BUCKET/PREFIX or gs://BUCKET/PREFIX"),
        ("s3://", "write file:///FOLDER"),
        ("simplecache::s3://bucket", "write file:///FOLDER"),
        ("file://store", "write the whole path, as in file:///shared/store"),
        ("s4://bucket", "no store of the kind 's4': did you mean 's3'"),
    ],
)
def test_a_url_that_names_no_store_is_refused(url: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        UrlStore(url)


def test_a_url_with_a_secret_is_refused_without_repeating_it() -> None:
    for url in ("s3://someone:word@bucket/x", "gs://bucket?token=word"):
        with pytest.raises(UserError, match="they are taken from the environment") as raised:
            UrlStore(url)
        assert "word" not in str(raised.value)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(url_store, "find_spec", lambda name: None)
    for url, package in (("s3://bucket", "s3fs"), ("gs://bucket/x", "gcsfs")):
        with pytest.raises(UserError, match=f"'{url}' needs the package {package}: pip install {package}"):
            UrlStore(url)


def test_a_store_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreFailed, match=rf"the store file://{tmp_path}/file/store cannot be used: Not a directory"):
        UrlStore(f"file://{tmp_path}/file/store").require()


@pytest.mark.store
def test_a_bucket_that_is_not_there_is_a_sentence(bucket: str) -> None:
    elsewhere = f"{bucket.partition('://')[0]}://nowhere/x"
    with pytest.raises(StoreFailed, match=f"the store {elsewhere} cannot be used: there is no such bucket"):
        UrlStore(elsewhere).require()
