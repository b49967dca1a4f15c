"""Two archived runs beside each other: what may be compared, by how much they differ, and what a gate says of it."""
