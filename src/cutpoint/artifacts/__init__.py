"""Model folders: safetensors and JSON, a model card, nothing executable."""

from cutpoint.artifacts.merged import change_of_scores, merge_model
from cutpoint.artifacts.model_folder import load_model, save_model

__all__ = ["change_of_scores", "load_model", "merge_model", "save_model"]
