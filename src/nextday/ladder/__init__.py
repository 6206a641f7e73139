"""Compare all studies of a folder."""
