"""Pretrained networks that declare their own order of blocks and carry their own preprocessing."""
