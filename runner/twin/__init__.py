"""The twin: queues in front of a server, simulated with the policies that the live queue runs."""
