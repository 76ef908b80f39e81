"""The model card: what a model is, in Markdown."""

from __future__ import annotations

from typing import Any

_TEXT = ('"some text"', '["some text"]')
_EXAMPLES = {
    "image": ("image.jpg", '["image.jpg"]'),
    "text": _TEXT,
    "tfidf": _TEXT,
    "vector": ("rows.csv", "rows"),
}
"""Kind of preprocessing → an input on the command line and in Python."""

_UNLABELLED = {"regression": "values", "language": "the next token"}


def model_card(facts: dict[str, Any], size: int) -> str:
    """Markdown from the content of cutpoint.json and the size of the weights in bytes."""
    task, backbone, description = facts["task"], facts["backbone"], facts["description"]
    shell, python = _EXAMPLES.get(facts["preprocessing"]["kind"], _EXAMPLES["image"])
    lines = [
        f"# {description.get('name', 'A Cutpoint model')}",
        "",
        f"A {task['kind']} model: **{facts['regime']}** on `{backbone['name']}`, "
        f"{facts['cut']} of its blocks frozen. It stores {size:,} bytes beyond the backbone.",
        "",
        "## Use",
        "",
        "```bash",
        f"cutpoint predict FOLDER {shell}",
        "```",
        "",
        "```python",
        "import cutpoint as cp",
        "",
        'model = cp.load("FOLDER")',
        f"model.predict({python})",
        "```",
        "",
        "## Facts",
        "",
    ]
    rows = [(key, value) for key, value in description.items() if key != "name"]
    rows += [
        ("Labels", ", ".join(task["labels"]) or _UNLABELLED[task["kind"]]),
        ("Backbone digest", backbone["digest"]),
        ("Backbone licence", facts["provenance"]["licence"] or "not stated"),
        ("Backbone trained on", facts["provenance"]["trained_on"] or "not stated"),
        ("Preprocessing", facts["preprocessing"]["made_by"]),
    ]
    if facts["adapter"]:
        rows.append(("Adapter", f"{facts['adapter']['kind']}, in PEFT's format under adapter/"))
    lines += ["| | |", "|---|---|", *(f"| {key} | {_cell(value)} |" for key, value in rows)]
    return "\n".join(lines) + "\n"


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
