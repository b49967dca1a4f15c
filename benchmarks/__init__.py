"""What joulebatch claims about its own speed and size, each runnable by anyone."""
