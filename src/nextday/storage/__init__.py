"""Files, tables and folders: the only code that opens what a study wrote."""
