"""Simulated nodes: Node objects that come and go as node groups and pools say, and whose Pods run as kwok simulates them."""
