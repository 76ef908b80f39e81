"""Data in: folders, tables and arrays become a Dataset with splits; images open right whatever their mode."""

from cutpoint.data.images import open_image
from cutpoint.data.load import load_dataset, load_known
from cutpoint.data.summary import content_hash, summarise

__all__ = ["content_hash", "load_dataset", "load_known", "open_image", "summarise"]
