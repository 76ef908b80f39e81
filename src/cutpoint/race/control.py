"""Whether the control, training from random weights, needs a run; it is always priced."""

from __future__ import annotations

from cutpoint.planning.plan import Plan

LEAST_LEFT = 0.8
"""Of the error of a probe on random features: where pretrained features leave more than this, they say so little that
random weights may do as well once they are trained."""


def needless_control(plan: Plan) -> str:
    """Why training from random weights is priced and not run; empty where it must run.

    It runs where the user named it or asks for everything, where a frozen probe is hardly better than the same probe
    on the same architecture with random weights, and where limits let no trial use the pretrained weights: then it is
    no control but what is left of the network.
    """
    settings, advice = plan.settings, plan.advice
    if settings.exhaustive or not settings.is_automatic or advice is None:
        return ""
    network = advice.axes.backbone
    if not any(each.backbone == network and each.recipe.regime.init == "pretrained" for each in plan.trials):
        return ""
    probe, random_init = advice.axes.probe, advice.axes.random_init
    if probe is None or random_init is None or 1 - probe > LEAST_LEFT * (1 - random_init):
        return ""
    return f"pretrained features are far ahead of random ones: a probe reaches {probe:.2f} against {random_init:.2f}"
