"""Helpers under Meta's names."""
