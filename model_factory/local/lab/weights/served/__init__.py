"""What runs inside the lab's Triton: a folder a model, copied into its weights. Each model.py is Triton's door to the file beside it."""
