"""Proof that the chain works: it speaks HTTP and reads built files, nothing else."""
