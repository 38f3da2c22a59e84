"""Numbers as people read them: in pages, pictures and terminals."""

from __future__ import annotations

THIN = "\u202f"  # between a number and its unit: never broken over lines


def percent(share: float, digits: int = 1) -> str:
    return f"{100 * share:.{digits}f}{THIN}%"


def number(value: float) -> str:
    """Three or more significant digits, thousands apart."""
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}".replace(",", THIN)
    return f"{value:.3g}"


def short(count: float) -> str:
    """Three to four digits and the unit: `25.6 M`."""
    for power, unit in ((9, "G"), (6, "M"), (3, "k")):
        if count >= 0.9995 * 10**power:
            value = count / 10**power
            return f"{value:.{1 if value >= 9.995 else 2}f}{THIN}{unit}"
    return number(count)


def millions(count: float) -> str:
    """A tenth of a million: `1 849.7`."""
    return f"{count / 1e6:,.1f}".replace(",", THIN)


def compact(value: float) -> str:
    """As `short`, without zeros at the end."""
    amount, thin, unit = short(value).partition(THIN)
    return (amount.rstrip("0").rstrip(".") if "." in amount else amount) + thin + unit


def duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f}{THIN}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours}{THIN}h"] if hours else []
    return " ".join([*parts, f"{minutes}{THIN}min", *([] if hours else [f"{rest}{THIN}s"])])
