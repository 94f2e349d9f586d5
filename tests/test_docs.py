"""README and docs: pages build, links lead somewhere, and every command line is one that the program takes."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from typer.core import TyperGroup

from search.cli import COMMANDS, load

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_the_pages_build_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "fonts.googleapis" not in page
    written = {file.parent.name: file.read_text(encoding="utf-8") for file in tmp_path.glob("reference/*/index.html")}
    for name, told in {
        "configuration": ("screening.grpo.steps", "finals.transfer[].loss", "sft.tuning"),
        "tasks": ("choices_field", "answer_marker"),
        "proposers": ("models[].api_base", "budget_usd"),
        "command-line": ("reward-search study feedback", "--select-on"),
        "python": ("open_run", "What a search has recorded so far"),
        "sandbox": ("It cannot read or write files",),
        "messages": ("--probe belongs to --dry-run", "would be overwritten; name another folder"),
    }.items():
        assert all(words in written[name] for words in told), name


def test_the_readme_stays_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 180


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)#:]+)\)", (ROOT / "README.md").read_text(encoding="utf-8")))
def test_links_of_the_readme_lead_to_a_file(target: str) -> None:
    assert (ROOT / target).exists()


def command_lines() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for block in re.findall(r"^```sh\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S):
            for line in block.replace("\\\n", " ").splitlines():
                for part in line.split(" | "):
                    if part.startswith("reward-search "):
                        yield page.name, part


@pytest.mark.parametrize(("page", "line"), sorted(set(command_lines())))
def test_a_command_line_is_one_that_the_program_takes(page: str, line: str) -> None:
    """Command, options and arguments are parsed as they would be when it is run; nothing is run."""
    name, *rest = shlex.split(re.sub(r" > \S+", "", line), comments=True)[1:]
    assert name in COMMANDS, page
    command = load(name)
    context = command.make_context(name, [word for word in rest if word != "--help"])
    if isinstance(command, TyperGroup):
        below, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        assert command is not None
        command.make_context(below, rest)


def test_every_message_of_the_page_on_trouble_is_one_that_the_program_says() -> None:
    spec = spec_from_file_location("reference", ROOT / "docs" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    reference = module_from_spec(spec)
    spec.loader.exec_module(reference)
    said = [re.sub(r"\{.*?\}+", "…", line) for line in reference.messages()]
    told = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    for heading in re.findall(r"^### (.*)$", told, re.M):
        form = ".*".join(map(re.escape, heading.split("…")))
        assert any(re.search(form, line) for line in said), heading
