"""Pillar 2: who may do what, in Cedar: schema, checks, slices, decisions, versions."""
