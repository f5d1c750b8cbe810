"""Recipes: TOML files that `train.config.load` finds by name."""
