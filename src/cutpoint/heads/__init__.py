"""Heads: what turns pooled features into predictions."""
