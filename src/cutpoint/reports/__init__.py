"""Result → a report that a manager can read, and a table for the terminal. Needs no torch."""

from __future__ import annotations

from cutpoint.reports.read import read_result
from cutpoint.reports.terminal import PrintedResult, print_result, result_text
from cutpoint.reports.write import write_report

__all__ = ["PrintedResult", "print_result", "read_result", "result_text", "write_report"]
