"""What is odd in the data: checks over arrays, hashes and embeddings that return findings."""

from cutpoint.audit.content import Examined, examine_content
from cutpoint.audit.repair import Repair, write_splits

__all__ = ["Examined", "Repair", "examine_content", "write_splits"]
