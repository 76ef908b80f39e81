"""The model card: what a model is, in Markdown."""

from __future__ import annotations

from typing import Any


def model_card(facts: dict[str, Any], size: int) -> str:
    """Markdown from the content of cutpoint.json and the size of the weights in bytes."""
    task, backbone, description = facts["task"], facts["backbone"], facts["description"]
    lines = [
        f"# {description.get('name', 'A Cutpoint model')}",
        "",
        f"A {task['kind']} model: **{facts['regime']}** on `{backbone['name']}`, "
        f"{facts['cut']} of its blocks frozen. It stores {size:,} bytes beyond the backbone.",
        "",
        "## Use",
        "",
        "```bash",
        "cutpoint predict FOLDER image.jpg",
        "```",
        "",
        "```python",
        "import cutpoint as cp",
        "",
        'model = cp.load("FOLDER")',
        'model.predict(["image.jpg"])',
        "```",
        "",
        "## Facts",
        "",
    ]
    rows = [(key, value) for key, value in description.items() if key != "name"]
    rows += [
        ("Labels", ", ".join(task["labels"]) or "values"),
        ("Backbone digest", backbone["digest"]),
        ("Backbone licence", facts["provenance"]["licence"] or "not stated"),
        ("Backbone trained on", facts["provenance"]["trained_on"] or "not stated"),
        ("Preprocessing", facts["preprocessing"]["made_by"]),
    ]
    lines += ["| | |", "|---|---|", *(f"| {key} | {_cell(value)} |" for key, value in rows)]
    return "\n".join(lines) + "\n"


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
