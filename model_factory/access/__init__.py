"""How a cluster's API is reached: kubeconfigs, credentials, and a small typed client over the official package."""
