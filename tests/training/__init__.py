"""The training: from data to a model that acr can read."""
