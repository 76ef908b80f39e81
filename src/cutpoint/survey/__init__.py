"""What heads and features tell before the first trial: axes, advice, labels curve, the audit in features."""
