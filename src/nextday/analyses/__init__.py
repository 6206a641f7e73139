"""Optional analyses, each in a room of its own."""
