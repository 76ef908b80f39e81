"""From measured axes to advice: the field's rule sets, the decision tree, the checklist."""
