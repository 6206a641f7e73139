"""Bars from Yahoo."""
