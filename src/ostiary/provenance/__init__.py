"""Information flow: the labels a session has picked up, and where the values of each action came from."""
