"""Files and folders as streams and back: the same bytes for the same content, and whole or not at all."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from search.store import parcels
from search.store.parcels import ParcelDamaged, pack, unpack


def filled(folder: Path) -> Path:
    (folder / "members" / "a").mkdir(parents=True)
    (folder / "empty").mkdir()
    (folder / "members" / "a" / "weights").write_bytes(bytes(range(256)) * 40)
    (folder / "log.txt").write_text("grüße\n", encoding="utf-8")
    (folder / ("long" * 40)).write_text("a name longer than a tar header holds")
    return folder


def contents(folder: Path) -> dict[str, bytes | None]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")
    }


def sha256(parts: list[bytes]) -> str:
    return hashlib.sha256(b"".join(parts)).hexdigest()


@pytest.mark.parametrize("part", [1, 700, 2**24])
def test_a_folder_comes_back_as_it_was_however_it_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: int
) -> None:
    source = filled(tmp_path / "source")
    whole = b"".join(pack(source))
    monkeypatch.setattr(parcels, "PART_BYTES", part)
    parts = list(pack(source))
    assert b"".join(parts) == whole
    assert all(len(item) == part for item in parts[:-1])
    (tmp_path / "back").mkdir()
    (tmp_path / "back" / "of an earlier attempt").touch()
    unpack(parts, sha256(parts), tmp_path / "back")
    assert contents(tmp_path / "back") == contents(source)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back", "source"]


def test_the_name_of_a_content_depends_on_names_and_bytes_alone(tmp_path: Path) -> None:
    one, two = filled(tmp_path / "one"), filled(tmp_path / "two")
    os.utime(two / "log.txt", (1, 1))
    (two / "log.txt").chmod(0o600)
    assert list(pack(one)) == list(pack(two))
    (two / "log.txt").write_text("other", encoding="utf-8")
    assert list(pack(one)) != list(pack(two))
    two.joinpath("log.txt").unlink()
    assert list(pack(one)) != list(pack(two))


def test_a_link_travels_as_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "blob").write_text("weights")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.safetensors").symlink_to(tmp_path / "blob")
    parts = list(pack(tmp_path / "model"))
    unpack(parts, sha256(parts), tmp_path / "back")
    assert not (tmp_path / "back" / "model.safetensors").is_symlink()
    assert (tmp_path / "back" / "model.safetensors").read_text() == "weights"


def test_a_part_of_a_folder_and_a_single_file_travel_too(tmp_path: Path) -> None:
    source = filled(tmp_path / "source")
    parts = list(pack(source, only=("members", "not there")))
    unpack(parts, sha256(parts), tmp_path / "part")
    assert sorted(contents(tmp_path / "part")) == ["members", "members/a", "members/a/weights"]
    parts = list(pack(source / "log.txt"))
    unpack(parts, sha256(parts), tmp_path / "one")
    assert contents(tmp_path / "one") == {"log.txt": "grüße\n".encode()}


def flipped(whole: bytes) -> bytes:
    return whole[:1024] + bytes([whole[1024] ^ 1]) + whole[1025:]


@pytest.mark.parametrize(
    "damage",
    [flipped, lambda whole: whole[:2000], lambda whole: whole[:-512], lambda whole: b"", lambda whole: whole + b"more"],
)
def test_what_is_damaged_on_the_way_is_not_taken(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    source = filled(tmp_path / "source")
    parts = list(pack(source))
    (tmp_path / "back").mkdir()
    (tmp_path / "back" / "before").write_text("as it was")
    with pytest.raises(ParcelDamaged, match="back arrived damaged"):
        unpack([damage(b"".join(parts))], sha256(parts), tmp_path / "back")
    assert contents(tmp_path / "back") == {"before": b"as it was"}
    assert not (tmp_path / "back.partial").exists()


def test_nothing_is_written_outside_of_the_folder(tmp_path: Path) -> None:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        entry = tarfile.TarInfo("../outside")
        entry.size = 4
        archive.addfile(entry, io.BytesIO(b"evil"))
    parts = [written.getvalue()]
    with pytest.raises(ParcelDamaged, match="damaged"):
        unpack(parts, sha256(parts), tmp_path / "inside")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_grows_while_it_is_read_is_not_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "weights"
    source.write_bytes(bytes(4096))
    monkeypatch.setattr(parcels, "PART_BYTES", 1024)
    stream = pack(source)
    next(stream)
    source.write_bytes(bytes(2048))
    with pytest.raises(ParcelDamaged, match="changed while it was read"):
        list(stream)
