"""Pillar 1: who acts, on whose behalf, with what was lent: credentials, sessions, tokens, revocation."""
