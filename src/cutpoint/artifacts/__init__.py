"""Model folders: safetensors and JSON, a model card, nothing executable."""

from cutpoint.artifacts.model_folder import load_model, save_model

__all__ = ["load_model", "save_model"]
