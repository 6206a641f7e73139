"""All studies of a folder, compared."""
