"""What the operating system says of the machine: processors, memory, temperatures."""
