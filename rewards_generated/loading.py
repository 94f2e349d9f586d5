"""What a configuration names: one of ours by its name, a user's own as `package.module:Class`."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Collection, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from rewards_generated.errors import UserError, nearest


def load_object(
    name: str,
    built_in: Mapping[str, str],
    field: str,
    kind: str,
    *,
    form: Literal["Class", "function"] = "Class",
    known: Collection[str] | None = None,
    method: str | None = None,
) -> Any:
    """The class (or function, as `form` says) behind a name; its module is imported only now.

    `built_in`: targets such as `search.executors.local:LocalExecutor` by name; `known`: the names to suggest where
    more are known than those; `method`: that a class has to have. Any other name is `package.module:Class`, looked for
    in the working folder too.
    `field` and `kind` are for the sentence: `executor.name`, `executor`.
    Raises UserError for a name that is not known, a module of Python's own, a module or an attribute that is not there
    or not a class, before anything of it is called.
    """
    target = built_in.get(name, name)
    module_name, _, attribute = target.partition(":")
    if ":" not in target:
        article = "an" if kind[0] in "aeiou" else "a"
        raise UserError(
            f"{field} = {name!r} is not a known {kind}: {nearest(name, built_in if known is None else known)} "
            f"({article} {kind} of your own is written package.module:{form})"
        )
    if not module_name or not attribute:
        raise UserError(f"{field} = {name!r}: write it as package.module:{form}")
    if name not in built_in and module_name.partition(".")[0] in sys.stdlib_module_names:
        raise UserError(f"{field} = {name!r}: {module_name!r} is a module of Python's own, and holds no {kind}")
    folder = str(Path.cwd())
    if name not in built_in and folder not in sys.path:
        sys.path.append(folder)
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        # A module that is missing inside the user's own module is a fault of that module: let it show itself.
        if error.name is None or not (module_name == error.name or module_name.startswith(error.name + ".")):
            raise
        raise UserError(f"{field} = {name!r}: there is no module {error.name!r} to import") from None
    found = getattr(module, attribute, None)
    if found is None or (form == "function" and not callable(found)):
        raise UserError(f"{field} = {name!r}: module {module_name!r} has no {form.lower()} {attribute!r}")
    if form == "Class" and not isinstance(found, type):
        raise UserError(f"{field} = {name!r}: {attribute!r} is not a class")
    if method is not None and not callable(getattr(found, method, None)):
        raise UserError(f"{field} = {name!r}: the class has no method {method}, so it is no {kind}")
    return found


def construct(factory: Callable[..., Any], options: Mapping[str, Any], field: str, owner: str) -> Any:
    """`factory(**options)`. Raises UserError as `require_options` does."""
    require_options(factory, options, field, owner)
    return factory(**options)


def require_options(factory: Callable[..., Any], options: Mapping[str, Any], field: str, owner: str) -> None:
    """Raises UserError naming the option that the factory does not take, or needs and was not given.

    `field`: where the options stand, such as `executor.options`; `owner`: what takes them, such as `executor 'local'`.
    """
    parameters = inspect.signature(factory).parameters.values()
    named = {one.name: one for one in parameters if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)}
    if not any(one.kind == one.VAR_KEYWORD for one in parameters):
        for option in options:
            if option not in named:
                raise UserError(
                    f"`{field}.{option}` is unknown: {owner} has no field {option!r}; {nearest(option, named)}"
                )
    for option, parameter in named.items():
        if parameter.default is parameter.empty and option not in options:
            raise UserError(f"`{field}.{option}` is missing from {owner}")
