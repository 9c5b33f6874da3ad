"""The queue of the sandbox: which jobs there are, what state each is in, what survives a restart."""
