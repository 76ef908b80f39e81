"""The base of every record that is written to disk."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """Base of every record that is written as JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="null")
