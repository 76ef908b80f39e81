"""What a Dataset says of its own rows."""

from __future__ import annotations

import numpy as np

from cutpoint.types import Dataset, Task


def test_each_row_knows_its_split() -> None:
    data = Dataset(
        source="here",
        modality="features",
        task=Task(kind="regression", metric="r2"),
        inputs=np.zeros((5, 2)),
        targets=np.zeros(5, dtype=np.float32),
        splits={"train": np.array([4, 0]), "val": np.array([2]), "test": np.zeros(0, dtype=np.int64)},
        keys=tuple("abcde"),
        names=tuple("abcde"),
    )
    assert data.split_names().tolist() == ["train", "", "val", "", "train"]
