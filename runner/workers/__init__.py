"""The processes that run models: their parent's side, their own, and what both say to each other."""
