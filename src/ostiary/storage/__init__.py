"""Where state lives, one engine a file. Only `app` chooses which."""
