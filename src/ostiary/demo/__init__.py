"""The story: a sample company, an agent that gets hijacked, and what stopped it. Nothing here is used by the product."""
