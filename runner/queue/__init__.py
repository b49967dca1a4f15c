"""The live queue: cells of policies at request rates, admitted, replayed in blocks, and journaled like any window."""
