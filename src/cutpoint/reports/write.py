"""RUN/result.json → RUN/report.html."""

from __future__ import annotations

from pathlib import Path

from cutpoint.reports.read import read_result


def write_report(run_folder: Path) -> Path:
    """Make the report of a run from its result.json alone; the same run gives the same bytes.

    Raises:
        ArtifactError: The result is missing, damaged or of another schema version.
    """
    result = read_result(run_folder)
    from cutpoint.reports.page import render  # matplotlib and jinja2 load only for a report

    report = run_folder / "report.html"
    unfinished = report.with_suffix(".html.part")
    unfinished.write_text(render(result, _model_folder(result.best, run_folder)), encoding="utf-8")
    unfinished.replace(report)
    return report


def _model_folder(recorded: str, run_folder: Path) -> str | None:
    """The model's path as the user gave it, or its present one where the run moved; None without a model."""
    present = run_folder / "model"
    if not present.is_dir():
        return None
    return recorded if Path(recorded).resolve() == present.resolve() else present.as_posix()
