"""Ostiary: the zero-trust door for enterprise AI. One decision, five doors, one record."""

__version__ = "0.1.0"
