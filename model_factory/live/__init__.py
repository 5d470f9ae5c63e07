"""What runs: the models in a stack's clusters, what they say, and what they answer. Prints nothing."""
