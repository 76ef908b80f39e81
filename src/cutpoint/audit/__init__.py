"""What is odd in the data: checks over arrays, hashes and embeddings that return findings."""

from cutpoint.audit.content import Examined, examine_content
from cutpoint.audit.repair import Repair, check_new_table, write_splits

__all__ = ["Examined", "Repair", "check_new_table", "examine_content", "write_splits"]
