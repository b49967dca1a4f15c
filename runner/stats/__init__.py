"""Numbers in, numbers out: nothing here knows of models, cells or reports."""
