Big results pass with flat memory, also on a busy machine, and the gateway gives memory back afterwards.
