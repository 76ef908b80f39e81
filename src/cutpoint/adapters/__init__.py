"""Small trainable parts in a frozen network: LoRA, DoRA, IA3, bottlenecks, prefix and prompt tuning."""
