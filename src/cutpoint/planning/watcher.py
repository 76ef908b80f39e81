"""What a race tells those who watch it; the command line draws it, the default says nothing."""

from __future__ import annotations

from cutpoint.planning.plan import Plan, PlannedTrial
from cutpoint.types import Comparison, Screened, Trial


class Watcher:
    """Override what you want to hear of."""

    def on_message(self, text: str) -> None:
        """Something worth a line."""

    def on_work(self, what: str, done: int, total: int) -> None:
        """Progress of a pass over the data."""

    def on_plan(self, plan: Plan) -> None:
        """The plan is fixed."""

    def on_trial_start(self, planned: PlannedTrial) -> None:
        """A trial begins, or goes on after an interruption."""

    def on_trial_progress(self, planned: PlannedTrial, done: float, note: str) -> None:
        """Share of the trial's work that is done (0…1), and what it is at."""

    def on_screened(self, screened: Screened) -> None:
        """A short run of a trial is done; it waits for its turn."""

    def on_trial_end(self, trial: Trial, comparison: Comparison | None) -> None:
        """A trial finished, was skipped, or failed; compared with the leader where there was one."""
