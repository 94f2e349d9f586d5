"""A hook of mkdocs: writes the pages of the reference from the code, at every build, so that they cannot go stale."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

from mkdocs.structure.files import File, Files
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from eval.tasks.registry import BUILT_IN_TASKS, task_options
from rewards_generated.validation import models_in
from search.cli import COMMANDS, load
from search.config.models import SearchConfig
from search.config.reference import default_text
from search.proposers.registry import PROPOSERS, proposer_class
from trainer.pipeline.description import Pipeline

ROOT = Path(__file__).parents[1]
PACKAGES = ("search", "eval", "trainer", "rewards_generated")
WIDTH = 100
TOLD = ("UserError(", "SandboxUnavailable(", "ValueError(")


def on_files(files: Files, config: Any) -> Files:
    for name, write in PAGES.items():
        files.append(File.generated(config, f"reference/{name}.md", content="\n".join(write()) + "\n"))
    return files


def configuration() -> Iterator[str]:
    yield "# Configuration\n\nEvery field of a search, as `--config` and `--set` take it."
    sections = {name: list(_field(name, field)) for name, field in SearchConfig.model_fields.items()}
    yield "\n## of the whole\n"
    yield from _table(row for rows in sections.values() for row in rows if "." not in row[0])
    for name, rows in sections.items():
        if "." in rows[0][0]:
            yield f"\n## {name}\n"
            yield from _table(iter(rows))
    yield "\n## Pipelines\n\nThe fields of `reward-search pipeline`.\n"
    yield from _table(_fields(Pipeline))


def tasks() -> Iterator[str]:
    yield "# Options of tasks\n\nThey stand under `task.options`. [Tasks](../tasks.md) says what each task asks."
    for name in BUILT_IN_TASKS:
        yield f"\n## {name}\n"
        options = task_options(name)
        yield from _table(_fields(options) if options else iter(()))


def proposers() -> Iterator[str]:
    yield "# Options of proposers\n\nThey stand under `proposer.options`. See [language models](../language-models.md)."
    for name in PROPOSERS:
        yield f"\n## {name}\n"
        settings = getattr(proposer_class(name), "Settings", None)
        yield from _table(_fields(settings) if settings else iter(()))


def command_line() -> Iterator[str]:
    yield "# Command line\n\nExit codes: 0; 1 for a verdict or a gap; 2 for a mistake, in one sentence; 130 for Ctrl-C."
    for name in COMMANDS:
        command = load(name)
        yield from _help(command, name)
        for below, subcommand in getattr(command, "commands", {}).items():
            yield from _help(subcommand, f"{name} {below}")


def python() -> Iterator[str]:
    yield "# Python interface\n\nWhat the four packages offer; [From Python](../python.md) shows it at work."
    for package in PACKAGES:
        module = import_module(package)
        yield f"\n## {package}\n\n{_text(module.__doc__)}"
        for name in module.__all__:
            yield from _described(name, getattr(module, name))


def sandbox() -> Iterator[str]:
    yield (ROOT / "rewards_generated" / "sandbox" / "README.md").read_text(encoding="utf-8")


def messages() -> Iterator[str]:
    yield (
        "# Messages\n\nEvery sentence that stops a command, by the module that says it; in braces what is filled in. "
        "The command ends with exit code 2. What to do stands in the sentence itself; "
        "[Troubleshooting](../troubleshooting.md) tells more of those that are met most."
    )
    for package in ("search", "rewards_generated", "eval", "trainer"):
        yield f"\n## {package}"
        for file in sorted((ROOT / package).rglob("*.py")):
            if found := sorted(set(_sentences(file))):
                yield f"\n`{file.relative_to(ROOT)}`\n\n```text"
                yield from found
                yield "```"


PAGES: dict[str, Callable[[], Iterator[str]]] = {
    "configuration": configuration,
    "tasks": tasks,
    "proposers": proposers,
    "command-line": command_line,
    "python": python,
    "messages": messages,
    "sandbox": sandbox,
}


def _fields(
    model: type[BaseModel], path: str = "", above: tuple[type[BaseModel], ...] = ()
) -> Iterator[tuple[str, str, str]]:
    """Path, default and help of every field; sections are opened, and so are the items of a list."""
    for name, field in model.model_fields.items():
        yield from _field(f"{path}{name}", field, (*above, model))


def _field(path: str, field: FieldInfo, above: tuple[type[BaseModel], ...] = ()) -> Iterator[tuple[str, str, str]]:
    section = field.annotation
    if isinstance(section, type) and issubclass(section, BaseModel):
        yield from _fields(section, f"{path}.", above)
        return
    yield path, default_text(field), " ".join((field.description or "").split())
    for item in models_in(section):
        if item not in above:
            yield from _fields(item, f"{path}[].", above)


def _table(rows: Iterator[tuple[str, str, str]]) -> Iterator[str]:
    found = list(rows)
    if not found:
        yield "It has no options."
        return
    yield from ("| field | default | |", "| --- | --- | --- |")
    for path, default, told in found:
        yield f"| `{path}` | `{_cell(default)}` | {_text(_cell(told))} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _help(command: Any, name: str) -> Iterator[str]:
    context = command.make_context(
        f"reward-search {name}", [], resilient_parsing=True, terminal_width=WIDTH, max_content_width=WIDTH
    )
    yield f"\n## {name}\n\n```text\n{command.get_help(context).rstrip()}\n```"


def _described(name: str, found: Any) -> Iterator[str]:
    yield f"\n### {name}\n"
    if isinstance(found, type) and issubclass(found, BaseModel):
        yield _text(found.__doc__)
        yield ""
        yield from _table(_fields(found))
    elif isinstance(found, type) or inspect.isfunction(found):
        yield _signature(name, found)
        if not (found.__doc__ or "").startswith(f"{name}("):  # which a dataclass writes itself
            yield _text(found.__doc__)
        if isinstance(found, type):
            for method, body in vars(found).items():
                function = body.fget if isinstance(body, property) else getattr(body, "__func__", body)
                if not method.startswith("_") and inspect.isfunction(function) and function.__doc__:
                    yield f"\n{_signature(f'{name}.{method}', function)}{_text(function.__doc__)}"
    else:
        yield f"One of {', '.join(f'`{one.__name__}`' for one in get_args(found))}."


def _signature(name: str, found: Any) -> str:
    try:
        signature = inspect.signature(found)
    except (TypeError, ValueError):
        return ""
    kept = [parameter for parameter in signature.parameters.values() if parameter.name != "self"]
    told = re.sub(r"(: |-> )'([^']*)'", r"\1\2", str(signature.replace(parameters=kept)))
    return f"```python\n{name}{told}\n```\n\n"


def _text(doc: str | None) -> str:
    """As Markdown: what is set in would be code, and a sign before a name would begin a tag."""
    parts = inspect.cleandoc(doc or "").split("`")
    return "`".join(part if place % 2 else part.replace("<", "&lt;") for place, part in enumerate(parts))


def _sentences(file: Path) -> Iterator[str]:
    text = file.read_text(encoding="utf-8")
    if not any(name in text for name in TOLD):
        return
    tree = ast.parse(text)
    # What a validator of a configuration or a reader of records says is told behind the field or the line.
    checks = file.is_relative_to(ROOT / "eval" / "tasks")
    validators = {
        below
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        and (checks or any("validator" in ast.unparse(d) for d in node.decorator_list))
        for below in ast.walk(node)
    }
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args):
            continue
        told = node.func.id in ("UserError", "SandboxUnavailable") or (
            node.func.id == "ValueError" and node in validators
        )
        if told and (sentence := _sentence(node.args[0])).strip("{}. "):
            yield sentence


def _sentence(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return " ".join(str(node.value).split())
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(part.value) if isinstance(part, ast.Constant) else f"{{{ast.unparse(part.value)}}}"
            for part in node.values
            if isinstance(part, ast.Constant | ast.FormattedValue)
        )
    if isinstance(node, ast.BinOp):
        return _sentence(node.left) + _sentence(node.right)
    return ""
