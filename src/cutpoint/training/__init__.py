"""One loop for every regime: fits that can be interrupted at any step and resumed exactly."""
