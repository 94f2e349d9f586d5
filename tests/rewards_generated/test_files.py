"""What is written is there whole or not at all: also when the process is killed between any two steps."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rewards_generated.files import partial_of, replace_folder, restored, write_whole


class Killed(BaseException):
    pass


def test_a_file_is_replaced_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    write_whole(file, "first\r\n")
    assert file.read_bytes() == b"first\r\n"
    write_whole(file, b"second")

    def full(number: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        write_whole(file, "third")
    assert file.read_bytes() == b"second"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("step", [0, 1, 2])
def test_a_folder_is_never_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Killed before the first rename, between the two, and before the old one is removed."""
    folder = tmp_path / "policy"
    folder.mkdir()
    (folder / "weights").write_text("old")
    partial = partial_of(folder)
    partial.mkdir()
    (partial / "weights").write_text("new")
    rename, made = Path.rename, []

    def renamed(self: Path, target: Path) -> Path:
        if len(made) == step:
            raise Killed
        made.append(target)
        return rename(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", renamed)
        if step < 2:
            with pytest.raises(Killed):
                replace_folder(partial, folder)
        else:
            patched.setattr("rewards_generated.files.shutil.rmtree", lambda *arguments, **options: None)
            replace_folder(partial, folder)
    assert restored(folder)
    assert (folder / "weights").read_text() == ("new" if step == 2 else "old")
    again = partial_of(folder)
    again.mkdir()
    (again / "weights").write_text("newest")
    replace_folder(again, folder)
    assert (folder / "weights").read_text() == "newest"
    assert [path.name for path in tmp_path.iterdir()] == ["policy"]
