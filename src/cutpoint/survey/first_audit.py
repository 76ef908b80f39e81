"""The audit of content as the first step of a fit: leaks stop it."""

from __future__ import annotations

from cutpoint.audit.content import Examined, examine_content
from cutpoint.errors import DataError
from cutpoint.planning.watcher import Watcher
from cutpoint.types import Audit, Dataset


def audit_first(dataset: Dataset, *, allow_leakage: bool, watcher: Watcher) -> tuple[Dataset, Audit]:
    """The data as they are to be trained on, and what is odd in them.

    Raises:
        DataError: Copies of training examples are judged on, and that is not allowed.
    """
    examined: Examined = examine_content(
        dataset, lambda done, total: watcher.on_work("auditing the data", done, total)
    )
    found = examined.audit
    if found.leaks and not allow_leakage:
        raise DataError(
            " ".join(leak.text for leak in found.leaks),
            f"Look with cutpoint audit {dataset.source}. Add --fix OUT.csv to it for splits without copies, or allow "
            "them by --allow-leakage (allow_leakage=True).",
        )
    for finding in found.findings:
        if finding.severity != "info":
            watcher.on_message(f"Audit: {finding.text}")
    return examined.dataset, found
