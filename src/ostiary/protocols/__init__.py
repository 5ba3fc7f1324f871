"""The wires agents already speak, one a file; each turns its messages into actions and refusals into its own errors."""
