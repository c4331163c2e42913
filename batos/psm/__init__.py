"""Cognition: a miss becomes a mission, a mission becomes a method, or an honest failure."""
