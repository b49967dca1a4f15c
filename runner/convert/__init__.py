"""Reports in the forms of other tools. A converter receives a finished report; it never computes statistics."""
