"""What to look at before take-off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from cutpoint.advice.bands import TINY_BELOW
from cutpoint.advice.limits import untold
from cutpoint.advice.situation import Situation
from cutpoint.types import WITHOUT_BACKBONE, CheckItem

State = Literal["done", "open", "warning"]

_IMBALANCED_FROM = 3.0
"""Largest class over smallest, from which plain accuracy hides the small one."""
_BLIND_TO_SMALL_CLASSES = ("accuracy", "f1_micro")


def checklist(situation: Situation) -> tuple[CheckItem, ...]:
    """Every item with its state: done, open (the user can do it), or a warning."""
    return tuple(_items(situation))


def _items(now: Situation) -> Iterator[CheckItem]:
    yield _audited(now)
    yield _tested(now)
    if now.axes.imbalance is not None:
        yield _metric(now)
    if now.axes.modality not in WITHOUT_BACKBONE:
        yield _item("preprocessing is the backbone's own", now.is_own_preprocessing, _PREPROCESSING)
        yield _provenance(now)
    if now.axes.per_class is not None:
        yield _enough(now)
    if now.fine_tunes:
        yield _budget(now)
    yield _limits(now)


_PREPROCESSING = "an input size of your own replaces the one of pretraining"


def _item(text: str, is_done: bool, detail: str, otherwise: State = "warning") -> CheckItem:
    return CheckItem(text=text, state="done" if is_done else otherwise, detail="" if is_done else detail)


def _audited(now: Situation) -> CheckItem:
    if now.audit is None:
        return CheckItem(
            text="data audited", state="open", detail="`cutpoint audit DATA` finds leaks and wrong labels"
        )
    if now.audit.leaks:
        return _item(
            "data audited and clean",
            False,
            "training examples stand in what is judged on, and a fit stops there: `cutpoint audit DATA --fix OUT.csv`",
        )
    count = sum(finding.severity != "info" for finding in now.audit.findings)
    return _item(
        "data audited and clean", count == 0, f"{count} finding{'s' if count > 1 else ''} of the audit"
    )


def _tested(now: Situation) -> CheckItem:
    detail = "a fifth is held out; a test split of your own, from where the model will be used, says more"
    return _item("a test split of your own", now.is_test_given, detail, "open")


def _metric(now: Situation) -> CheckItem:
    imbalance = now.axes.imbalance or 1.0
    is_blind = now.metric in _BLIND_TO_SMALL_CLASSES and imbalance >= _IMBALANCED_FROM
    detail = (
        f"the largest class is {imbalance:.1f} times the smallest, and {now.metric} hardly sees that one; "
    )
    return _item("the metric fits the balance of classes", not is_blind, detail + "--metric f1_macro does")


def _provenance(now: Situation) -> CheckItem:
    unknown = untold(now.provenance)
    detail = f"the backbone does not say its {' and '.join(unknown)}"
    return _item("licence and training data of the backbone are known", not unknown, detail)


def _enough(now: Situation) -> CheckItem:
    smallest = now.axes.smallest_class or 0
    detail = f"the smallest class has {smallest}; below {TINY_BELOW} a signal is not usable"
    return _item(f"{TINY_BELOW} or more examples of every class", smallest >= TINY_BELOW, detail)


def _budget(now: Situation) -> CheckItem:
    tunes = [trial for trial in now.allowed if trial.regime in now.fine_tunes]
    if not tunes:
        return CheckItem(
            text="room for a fine-tune", state="warning", detail="no regime that trains blocks can run here"
        )
    cheapest = min(tunes, key=lambda trial: trial.predicted.seconds or 0.0)
    needed, budget = cheapest.predicted.seconds or 0.0, now.axes.budget_seconds
    detail = f"{cheapest.id} is predicted to take {needed:.0f} s, and the budget is {budget:.0f} s"
    return _item("the budget holds at least one fine-tune", needed <= budget, detail)


def _limits(now: Situation) -> CheckItem:
    detail = "they rule out every trial that could run"
    return _item("limits leave something to ship", bool(now.allowed) or not now.priced, detail)
