"""How inferences are asked for: back to back, or at a pace; and the warm-up before either."""
