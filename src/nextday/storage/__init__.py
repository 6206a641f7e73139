"""Files, tables and folders: the only code that opens the files of a study."""
