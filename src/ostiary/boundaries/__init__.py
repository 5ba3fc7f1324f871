"""One policy enforcement point a file; no wire formats."""
