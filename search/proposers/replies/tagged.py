"""Items written between tags: `<name>...</name> <code>...</code>`, or the parameters of a tool call in XML."""

from __future__ import annotations

import re

_FIELD = re.compile(
    r"<(?:parameter(?:=|\s+name=)[\"']?)?(?P<name>name|family|description|code)[\"']?\s*>(?P<value>.{0,25000}?)"
    r"</(?:parameter|(?P=name))>"
    r"|<arg_key>\s*(?P<key>name|family|description|code)\s*</arg_key>\s*<arg_value>(?P<argument>.{0,25000}?)</arg_value>",
    re.DOTALL | re.IGNORECASE,
)
CODE_TAG = r"<code>|<parameter(?:=|\s+name=)[\"']?code[\"']?\s*>|<arg_value>(?=\s*(?:import |from |def |\"\"\"))"
"""What opens source text that stands as it is."""
CODE_TAG_END = re.compile(r"</(?:code|parameter|arg_value)>")


def tagged_items(text: str) -> list[dict[str, object]]:
    """One item per `code`; the fields around it are its own up to the first that would come twice."""
    if not CODE_TAG_END.search(text):
        return []
    items: list[dict[str, object]] = [{}]
    for match in _FIELD.finditer(text):
        name = (match["name"] or match["key"]).lower()
        if name in items[-1]:
            items.append({})
        items[-1][name] = match["value"] if match["name"] else match["argument"]
    return [item for item in items if "code" in item]
