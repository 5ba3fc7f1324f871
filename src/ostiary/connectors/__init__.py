"""Systems we reach. Only `app` chooses which."""
