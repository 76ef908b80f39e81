"""The decision tree with the user's path lit."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files

import yaml
from pydantic import Field

from cutpoint.advice.conditions import Condition
from cutpoint.advice.situation import Situation
from cutpoint.types import Record, Step


class Answer(Record):
    """One way out of a node: to another node, or to regimes."""

    answer: str
    when: Condition = Condition()
    next: str | None = None
    regimes: tuple[str, ...] = ()


class Node(Record):
    """A question with its answers."""

    name: str = Field(alias="node")
    question: str
    answers: tuple[Answer, ...]


@cache
def tree() -> dict[str, Node]:
    """Name → node of `tree.yaml`, the first one first."""
    text = files("cutpoint.advice").joinpath("tree.yaml").read_text(encoding="utf-8")
    return {node.name: node for node in map(Node.model_validate, yaml.safe_load(text))}


def walk(situation: Situation) -> tuple[tuple[Step, ...], str]:
    """The steps through the tree, and the row of the regimes' table where they end."""
    node: Node | None = next(iter(tree().values()))
    steps: list[Step] = []
    regimes: tuple[str, ...] = ()
    while node is not None:
        taken = next(answer for answer in node.answers if answer.when.holds(situation))
        options = tuple(answer.answer for answer in node.answers)
        steps.append(Step(question=node.question, answer=taken.answer, options=options))
        node, regimes = tree()[taken.next] if taken.next else None, taken.regimes
    return tuple(steps), _that_can_run(regimes, situation)


def _that_can_run(wanted: Sequence[str], situation: Situation) -> str:
    """The first that was priced and keeps the limits; else one of which nothing is known against it."""
    allowed = [trial.regime for trial in situation.allowed]
    against = {trial.regime for trial in (*situation.refused, *situation.excluded)}
    choices = [
        *(name for name in wanted if name in allowed),
        *(name for name in wanted if name not in against),
        *allowed,
        *wanted,
    ]
    return choices[0]
