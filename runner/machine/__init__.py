"""What the operating system says of the machine: processors, memory, temperatures; and what follows from it."""
