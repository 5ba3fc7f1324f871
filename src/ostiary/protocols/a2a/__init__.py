"""The A2A wire (Agent2Agent 1.0): what it calls things, its two bindings over HTTP, and cards. No policy."""
