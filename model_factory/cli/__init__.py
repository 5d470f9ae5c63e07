"""The `factory` command: picks the engine for a stack, starts its local clouds, shows progress."""
