"""Numbers as people read them: bytes, seconds, counts, scores and gains."""

from __future__ import annotations

import math
import re

from cutpoint import sizes
from cutpoint.evaluation.metrics import METRICS
from cutpoint.sizes import scaled, three_digits
from cutpoint.types import Score

ABSENT = "–"
_MINUS = "\u2212"
_NAMES = {
    "r2": "R²",
    "mae": "mean absolute error",
    "rmse": "root mean squared error",
    "spearman": "rank correlation",
    "f1_macro": "F1, mean over classes",
    "f1_micro": "F1",
    "roc_auc": "ROC AUC",
    "entity_f1": "entity F1",
    "pearson": "correlation",
}


def is_share(metric: str) -> bool:
    """Whether a metric lies in 0…1 and reads naturally as percent; a user's own metric does not."""
    return metric in METRICS and METRICS[metric].share


def is_relative(metric: str) -> bool:
    """Whether gains are told as a share of the value before, as those of perplexity are."""
    return metric in METRICS and METRICS[metric].relative


def direction(metric: str) -> int:
    """1 where a greater value is better, -1 for errors and losses."""
    return -1 if metric in METRICS and not METRICS[metric].greater_is_better else 1


def metric_name(metric: str) -> str:
    """The metric as words: "balanced_accuracy" → "balanced accuracy"."""
    return _NAMES.get(metric, metric.replace("_", " "))


def value(number: float, metric: str) -> str:
    """One metric value with its unit."""
    if not math.isfinite(number):
        return ABSENT
    return f"{100 * number:.1f} %" if is_share(metric) else _natural(number)


def score(found: Score | None) -> str:
    """The value of a score, such as "81.6 %"."""
    return ABSENT if found is None else value(found.value, found.metric)


def interval(found: Score | None) -> str:
    """The 95 % interval of a score, such as "78.9–84.1 %"."""
    return ABSENT if found is None else span(found.low, found.high, found.metric)


def span(low: float, high: float, metric: str) -> str:
    """Two values of a metric with its unit once."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return ABSENT
    if is_share(metric):
        return f"{100 * low:.1f}–{100 * high:.1f} %"
    return _natural(low) + (" to " if low < 0 else "–") + _natural(high)


def gain(number: float, metric: str) -> str:
    """How much better a score is: points (hundredths) for shares, per cent for perplexity, else the metric's unit."""
    if not math.isfinite(number):
        return ABSENT
    text = f"{100 * number:+.1f}" if is_share(metric) or is_relative(metric) else f"{number:+.2g}"
    return text.replace("-", _MINUS)


def gain_unit(metric: str) -> str:
    """What a gain counts: "points", "%", or nothing for metrics in natural units."""
    return "points" if is_share(metric) else "%" if is_relative(metric) else ""


def gain_words(number: float, metric: str) -> str:
    """A gain with its unit, such as "+1.8 points"."""
    return f"{gain(number, metric)} {gain_unit(metric)}".strip()


def probability(number: float) -> str:
    """A probability without false precision: never "0 %" or "100 %"."""
    if not math.isfinite(number):
        return ABSENT
    if number < 0.01:
        return "< 1 %"
    return "> 99 %" if number > 0.99 else f"{100 * number:.0f} %"


def seconds(duration: float | None) -> str:
    """A duration in the two units that matter."""
    if duration is None or not math.isfinite(duration):
        return ABSENT
    if duration < 10:
        return f"{duration:.2f} s" if duration < 1 else f"{duration:.1f} s".replace("10.0", "10")
    whole = round(duration)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min" + (f" {whole % 60:02d} s" if whole % 60 else "")
    minutes = round(duration / 60)
    if minutes < 48 * 60:
        return f"{minutes // 60} h" + (f" {minutes % 60:02d} min" if minutes % 60 else "")
    return f"{duration / 86400:.1f} days"


def size(bytes_: int | None) -> str:
    """Bytes in decimal units: 51 240 → "51.2 kB"."""
    return ABSENT if bytes_ is None else sizes.size(bytes_)


def compact(number: int | None) -> str:
    """A large count in three digits: 2 226 434 → "2.23 M"."""
    return ABSENT if number is None else scaled(number, ("", "k", "M", "G", "T", "P"))


def count(number: int | None) -> str:
    """Every digit, grouped by thousands with thin spaces."""
    return ABSENT if number is None else f"{number:,}".replace(",", "\u202f")


def decimal(number: float | None) -> str:
    """A number without a unit, to two decimals."""
    return ABSENT if number is None else _signed(f"{number:.2f}")


def milliseconds(duration: float | None) -> str:
    """A latency."""
    if duration is None or not math.isfinite(duration):
        return ABSENT
    return f"{duration:.2f} ms" if duration < 1 else f"{three_digits(duration)} ms"


def share(part: int | None, whole: int | None) -> str:
    """Part of a whole as percent, never rounded to nothing or to all."""
    if part is None or not whole:
        return ABSENT
    percent = 100 * part / whole
    if part and percent < 0.01:
        return "< 0.01 %"
    if part != whole and percent > 99.9:
        return "> 99.9 %"
    if part == whole or part == 0:
        return f"{percent:.0f} %"
    return f"{percent:.2f} %" if percent < 1 else f"{percent:.1f} %"


def prose(text: str) -> str:
    """A sentence whose numbers keep to their unit at the end of a line."""
    return re.sub(r"(?<=\d) (?=(?:%|points?|s|min|h|kB|MB|GB)(?!\w))", "\u00a0", text)


def tick(text: str) -> str:
    """A number on an axis: "1.00 k" → "1 k"."""
    return re.sub(r"\.0+(?!\d)", "", text)


def plural(number: int, one: str, many: str | None = None) -> str:
    """A count with its noun: "1 block", "3 blocks"."""
    return f"{count(number)} {one if number == 1 else many or one + 's'}"


def _natural(number: float) -> str:
    """A value in its own unit, to three digits; every digit in front of the decimal point."""
    return count(round(number)) if abs(number) >= 1000 else _signed(f"{number:.3g}")


def _signed(text: str) -> str:
    return text.replace("-", _MINUS)
