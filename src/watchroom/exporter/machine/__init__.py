"""Memory, processors and disks of the machine and its containers."""
