"""Records as Markdown: goals beside what was measured, then a table a work."""

from __future__ import annotations

from collections.abc import Sequence

from .goals import findings, told
from .ratios import Record, Spread, accuracy, done, of_contender, ratio
from .works import RACE, TIERS, WORKS, Work

BASE = {RACE: "Cutpoint, the race"}
_COLD = "Cutpoint, cold cache"
_DISTURBED = 0.2
"""Cores busy with other work, from which on timings are not to be trusted."""
_COLUMNS = (
    "contender",
    "rounds",
    "first model, s",
    "model, s",
    "epochs alone, s",
    "accuracy",
    "against Cutpoint, cold",
    "memory",
)


def tables(records: Sequence[Record], tier: str) -> str:
    """All of a tier.

    Args:
        records: Of one tier.
        tier: Its name.
    """
    parts = [
        surroundings(records, tier),
        goals_table(records),
        *(work_table(records, work) for work in WORKS),
    ]
    return "\n\n".join(part for part in parts if part)


def surroundings(records: Sequence[Record], tier: str) -> str:
    """Where, when and with what it was measured, and whether the machine was busy."""
    machines = {
        f"{each['processor']}, {each['cores']} cores, {each['memory_gigabytes']:.0f} GB"
        for each in (record["machine"] for record in records)
    }
    times = sorted(record["before"]["time"][:10] for record in records)
    busy = Spread.of([record["cores_busy_with_other_work"] for record in records])
    sentences = [
        f"The {tier} tier, {times[0]} to {times[-1]}, on {' and '.join(sorted(machines))}, with "
        f"{' and '.join(sorted({str(record['job']['threads']) for record in records if 'job' in record}))} threads.",
        f"Other work kept {busy.median:.2f} cores busy in the median run, {busy.high:.2f} in the worst.",
        f"Versions: {_versions(records)}.",
    ]
    if busy.median > _DISTURBED:
        sentences.insert(0, "**The machine was busy with other work: the ratios are provisional.**")
    return " ".join(sentences)


def _versions(records: Sequence[Record]) -> str:
    found: dict[str, set[str]] = {}
    for record in records:
        for name, version in record.get("versions", {}).items():
            found.setdefault(name, set()).add(version)
    return ", ".join(f"{name} {' and '.join(sorted(versions))}" for name, versions in sorted(found.items()))


def goals_table(records: Sequence[Record]) -> str:
    """The goals that were measured, met or not."""
    lines = ["| goal | measured | |", "|---|---|---|"]
    judged = [each for each in findings(records) if each.state != "not measured"]
    lines += [f"| {each.goal} | {each.measured} | {each.state} |" for each in judged]
    return "\n".join(lines)


def work_table(records: Sequence[Record], work: Work) -> str:
    """Everyone who took part in a work; empty where nobody has."""
    runs = done(records, work.name)
    failed = [each for each in records if each["work"] == work.name and "failed" in each]
    if not runs and not failed:
        return ""
    head = f"### {work.title}"
    if not any(each["accuracy"] is not None for each in runs):
        return "\n\n".join([head, measures_table(runs), *failures(failed)])
    rows = runs[0]["rows"]
    size = f"{work.data}: {rows['train']} training rows, {rows['test']} judged."
    lines = [f"| {' | '.join(_COLUMNS)} |", "|---" * len(_COLUMNS) + "|"]
    base = of_contender(records, work.name, BASE.get(work.name, _COLD))
    for contender in work.contenders:
        own = of_contender(records, work.name, contender.name)
        if own:
            lines.append(_line(own, base))
    return "\n\n".join([head, size, "\n".join(lines), *failures(failed)])


def measures_table(runs: Sequence[Record]) -> str:
    """Measures that are no race of contenders."""
    names = [name for run in runs[:1] for name in run["measures"]]
    lines = ["| measure | median | least | greatest |", "|---|---|---|---|"]
    for name in names:
        found = Spread.of([run["measures"][name] for run in runs])
        lines.append(f"| {name} | {found.median:.3g} | {found.low:.3g} | {found.high:.3g} |")
    return "\n".join(lines)


def failures(failed: Sequence[Record]) -> list[str]:
    """A line a contender that did not get through."""
    last = {each["contender"]: each["failed"].strip().splitlines()[-1] for each in failed}
    return [f"{name} failed: `{words}`" for name, words in last.items()]


def _line(own: Sequence[Record], base: Sequence[Record]) -> str:
    compared = ratio(own, base)
    cells = [
        own[0]["contender"],
        str(len(own)),
        _seconds(own, "first_model"),
        _seconds(own, "model"),
        _seconds(own, "training"),
        f"{accuracy(own):.3f}",
        "" if compared is None or own[0]["contender"] == base[0]["contender"] else told(compared),
        f"{max(each['peak_bytes'] for each in own) / 1e9:.2f} GB",
    ]
    return f"| {' | '.join(cells)} |"


def _seconds(runs: Sequence[Record], phase: str) -> str:
    known = [each["seconds"][phase] for each in runs if each["seconds"].get(phase)]
    if not known:
        return ""
    found = Spread.of(known)
    spread = f" ({found.low:.1f}–{found.high:.1f})" if found.count > 1 else ""
    return f"{found.median:.1f}{spread}"


def missing(records: Sequence[Record], tier: str) -> list[str]:
    """Works of a tier of which not every contender that is known has finished every round."""
    return [
        work.name
        for work in WORKS
        if not done(records, work.name)
        or any(
            len(of_contender(records, work.name, name)) < TIERS[tier][work.name].repeats
            for name in {each["contender"] for each in records if each["work"] == work.name}
        )
    ]
