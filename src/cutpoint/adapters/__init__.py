"""Small trainable parts in a frozen network: LoRA, DoRA, IA3, bottlenecks, prefix and prompt tuning."""

from cutpoint.adapters.adapter import Adapter, AdapterKind
from cutpoint.adapters.folder import load_adapter, save_adapter
from cutpoint.adapters.inject import inject, is_adapter_parameter
from cutpoint.adapters.merge import merge
from cutpoint.adapters.support import why_not
from cutpoint.adapters.targets import resolve_targets

__all__ = [
    "Adapter",
    "AdapterKind",
    "inject",
    "is_adapter_parameter",
    "load_adapter",
    "merge",
    "resolve_targets",
    "save_adapter",
    "why_not",
]
