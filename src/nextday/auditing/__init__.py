"""Look for data of the future: in columns, in functions of bars, in forecasts, between two vintages of a file."""
