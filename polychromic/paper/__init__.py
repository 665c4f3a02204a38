"""What people read: figures, tables, the report and the paper, drawn from cached results alone."""
