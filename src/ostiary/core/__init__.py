"""The seven steps and the values that flow through them; imports only the standard library."""
