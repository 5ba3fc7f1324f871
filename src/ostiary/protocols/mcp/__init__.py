"""The Model Context Protocol wire: 2025-06-18, 2025-11-25 and the stateless 2026-07-28; no policy."""
