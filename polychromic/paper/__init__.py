"""Figures, tables, the report and the paper, made from cached results alone."""
