"""Numbers as the report shows them. An unknown number (NaN) is a dash."""

import math

DASH, MINUS, NBSP = "–", "−", "\u00a0"


def percent(fraction: float, digits: int = 2) -> str:
    """0.9162 → "91.62", without the sign %. What rounds to zero has no minus sign."""
    return DASH if math.isnan(fraction) else _signed(f"{_exact(100 * fraction):.{digits}f}")


def percent_sign(fraction: float, digits: int = 2) -> str:
    """0.9162 → "91.62 %", with a no-break space."""
    return f"{percent(fraction, digits)}{NBSP}%"


def points(difference: float, digits: int = 2) -> str:
    """0.0042 → "+0.42" percentage points; what rounds to zero has no sign."""
    return DASH if math.isnan(difference) else _signed(f"{_exact(100 * difference):+.{digits}f}")


def interval(low: float, high: float, digits: int = 2) -> str:
    """(0.0010, 0.0074) → "[0.10, 0.74]": two fractions in percent or percentage points."""
    return f"[{percent(low, digits)}, {percent(high, digits)}]"


def points_interval(difference: float, low: float, high: float) -> str:
    """(0.0042, 0.0010, 0.0074) → "+0.42 [0.10, 0.74]". One seed has no interval: "+0.42 [–, –]"."""
    return DASH if math.isnan(difference) else f"{points(difference)} {interval(low, high)}"


def half_width(low: float, high: float) -> str:
    """(0.0010, 0.0074) → "± 0.32" percentage points: half of a symmetric interval. Unknown: "± –"."""
    return f"± {percent((high - low) / 2)}"


def points_half_width(difference: float, low: float, high: float) -> str:
    """(0.0042, 0.0010, 0.0074) → "+0.42 ± 0.32": a difference with half its interval."""
    return DASH if math.isnan(difference) else f"{points(difference)} {half_width(low, high)}"


def p_value(p: float) -> str:
    """0.0039 → "0.004", 0.0004 → "<0.001"."""
    if math.isnan(p):
        return DASH
    return "<0.001" if p < 0.0005 else f"{p:.3f}"


def plain(number: float, digits: int = 3) -> str:
    """0.0412 → "+0.041", with its sign and without a unit. What rounds to zero has no sign."""
    return DASH if math.isnan(number) else _signed(f"{number:+.{digits}f}")


def plain_interval(low: float, high: float, digits: int = 3) -> str:
    """(0.012, 0.0702) → "[0.012, 0.070]"."""
    ends = [DASH if math.isnan(end) else _signed(f"{end:.{digits}f}") for end in (low, high)]
    return f"[{', '.join(ends)}]"


def mean_sd(mean: float, sd: float) -> str:
    """(0.9054, 0.0009) → "90.54 ± 0.09"."""
    return DASH if math.isnan(mean) else f"{percent(mean)} ± {percent(sd)}"


def count(number: float) -> str:
    """421642 → "421,642"."""
    return DASH if math.isnan(number) else f"{int(number):,}"


def short_count(number: float) -> str:
    """Three significant digits and a unit: 421642 → "422k", 1234567 → "1.23M"."""
    if math.isnan(number):
        return DASH
    value, unit = float(f"{number:.3g}"), ""
    for unit_size, name in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= unit_size:
            value, unit = value / unit_size, name
            break
    return f"{value:g}{unit}"


def size(height: float, width: float) -> str:
    """(14, 14) → "14×14". A net without a receptive field has a dash."""
    return DASH if math.isnan(height) or math.isnan(width) else f"{int(height)}×{int(width)}"


def plural(number: int, singular: str) -> str:
    """(1200, "image") → "1,200 images"."""
    return f"{number:,} {singular}" + ("" if number == 1 else "s")


def _exact(number: float) -> float:
    """Without the last digits, which depend on the order of sums: one number has one rounding wherever it stands."""
    return round(number, 9)


def _signed(text: str) -> str:
    """Turn a hyphen into a true minus sign; zero has no sign."""
    return text.lstrip("+-") if float(text) == 0 else text.replace("-", MINUS)
