"""What difference an evaluation could have seen, whatever it did see."""

from __future__ import annotations


def smallest_detectable_difference(
    n: int, discordant_rate: float, power: float = 0.8, alpha: float = 0.05
) -> float | None:
    """Smallest difference of two accuracies that McNemar's test on `n` shared questions finds with `power`.

    Solves Connor's formula n = (z_a sqrt(d) + z_b sqrt(d - x^2))^2 / x^2 for x (Connor 1987, Biometrics 43:207-211),
    with n x - 1 in the place of n x as the test has it: Edwards' continuity correction, or the exact test, which is
    as cautious. `discordant_rate` d is the share of questions that exactly one of the two gets right. None: not even
    the largest possible difference, d itself, would be found. Raises ValueError unless n >= 1 and 0 < d <= 1.
    """
    from scipy.optimize import brentq
    from scipy.special import ndtri

    if n < 1 or not 0 < discordant_rate <= 1:
        raise ValueError(f"n = {n} and discordant_rate = {discordant_rate} must be at least 1 and within (0, 1]")
    z_alpha, z_beta = float(ndtri(1 - alpha / 2)), float(ndtri(power))

    def surplus(difference: float) -> float:
        spread = max(discordant_rate - difference**2, 0.0)
        return float((difference * n - 1) / n**0.5 - z_alpha * discordant_rate**0.5 - z_beta * spread**0.5)

    if surplus(discordant_rate) < 0:
        return None
    return float(brentq(surplus, 0.0, discordant_rate, xtol=1e-10))


def smallest_detectable_paired_difference(std: float, pairs: int, power: float = 0.8, alpha: float = 0.05) -> float:
    """Smallest mean of paired differences that a two-sided paired t test over `pairs` of them finds with `power`.

    `std`: standard deviation of the differences. Raises ValueError with fewer than two pairs or a negative std.
    """
    import numpy as np
    from scipy.integrate import simpson
    from scipy.optimize import brentq
    from scipy.special import ndtr
    from scipy.stats import chi, t

    if pairs < 2 or std < 0:
        raise ValueError(f"pairs = {pairs} must be at least 2 and std = {std} at least 0")
    freedom = pairs - 1
    # scipy's noncentral t fails at the large shifts that two or three pairs need, so its density is integrated.
    spread = np.linspace(0.0, freedom**0.5 + 10.0, 20_001)
    density = chi.pdf(spread, freedom)
    bound = float(t.isf(alpha / 2, freedom)) * spread / freedom**0.5

    def surplus(effect: float) -> float:
        shift = effect * pairs**0.5
        return float(simpson(density * (ndtr(shift - bound) + ndtr(-bound - shift)), x=spread)) - power

    high = 1.0
    while surplus(high) <= 0:
        high *= 2
    return float(brentq(surplus, 0.0, high, xtol=1e-8)) * std
