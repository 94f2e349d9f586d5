"""How a report writes numbers, times and text that came from elsewhere."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime

from eval.statistics.estimate import Estimate

DASH = "—"
LONGEST_SHOWN = 4_000
"""Characters of one completion that a report shows."""


def visible(text: str, longest: int | None = None) -> str:
    """Untrusted text made harmless to readers: control, bidirectional and unpaired characters are shown as code
    points, so that nothing is hidden or reordered. Escaping for HTML is the template's part."""
    cut = text if longest is None or len(text) <= longest else text[:longest]
    shown = "".join(_visible_character(character) for character in cut.replace("\r\n", "\n"))
    return shown if len(cut) == len(text) else f"{shown}\n[{len(text) - len(cut):,} more characters]"


def _visible_character(character: str) -> str:
    if character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp"):
        return character
    return f"⟨U+{ord(character):04X}⟩"


def number(value: float | None, digits: int = 3) -> str:
    """Fixed digits, with a true minus sign; a dash for nothing."""
    return DASH if value is None else f"{value:.{digits}f}".replace("-", "−")


def signed_points(value: float) -> str:
    """A difference of shares in percentage points, such as `+4.1`."""
    return f"{round(100 * value, 1) + 0.0:+.1f}".replace("-", "−")  # adding 0 makes -0.0 positive


def aligned_points(value: float, width: int) -> str:
    """As `signed_points`, filled up with figure spaces so that decimals stand under each other."""
    return signed_points(value).rjust(width, "\u2007")


def points_width(estimates: Sequence[Estimate | None]) -> int:
    """Characters of the widest of these differences in points, bounds included."""
    shown = [
        signed_points(v) for estimate in estimates if estimate for v in (estimate.value, estimate.low, estimate.high)
    ]
    return max(map(len, shown), default=0)


def percent(share: float) -> str:
    """Such as `65.3 %`."""
    return f"{100 * share:.1f} %"


def percent_interval(estimate: Estimate) -> str:
    return f"[{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"


def interval(estimate: Estimate | None, digits: int = 3) -> str:
    if estimate is None:
        return ""
    return f"[{number(estimate.low, digits)}, {number(estimate.high, digits)}]"


def points_interval(estimate: Estimate) -> str:
    return f"[{signed_points(estimate.low)}, {signed_points(estimate.high)}]"


def signed_number(value: float | None, digits: int = 3) -> str:
    """A difference with its sign, such as `+0.041`; a dash for nothing."""
    return DASH if value is None else f"{value:+.{digits}f}".replace("-", "−")


def signed_interval(estimate: Estimate, digits: int = 3) -> str:
    return f"[{signed_number(estimate.low, digits)}, {signed_number(estimate.high, digits)}]"


def p_value(value: float | None) -> str:
    if value is None:
        return DASH
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def compact(value: float) -> str:
    """At most four significant digits, for axes and curves."""
    if value != value or value in (float("inf"), float("-inf")):
        return str(value)
    if value and not 1e-3 <= abs(value) < 1e5:
        return f"{value:.1e}".replace("-", "−")
    return f"{value:.4g}".replace("-", "−")


def scientific(value: float) -> str:
    """Such as `5 × 10⁻⁶`."""
    if value >= 0.01:
        return compact(value)
    mantissa, exponent = f"{value:.6e}".split("e")
    return f"{float(mantissa):g} × 10" + str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def duration(seconds: float | None) -> str:
    if seconds is None:
        return DASH
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def moment(when: datetime | None) -> str:
    if when is None:
        return DASH
    utc = when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)
    return f"{utc.day} {utc:%B %Y, %H:%M} UTC"


def money(usd: float | None) -> str:
    if usd is None:
        return "unknown"
    return f"${usd:,.2f}" if usd >= 0.01 or usd == 0 else f"${usd:.4f}"


def joined(items: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1] if items else ""


def counted(count: int, singular: str, plural: str | None = None) -> str:
    """Such as `1 round` or `2 rounds`."""
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"
