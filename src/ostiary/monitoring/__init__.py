"""Pillar 3: what watches every finished passage."""
