"""The local AWS: moto behind one port, with what it lacks for this stack.

app        the pipeline of a call: resolve, delay, fault, do, record
calls      which operation of which service a request is, from botocore's service models
world      clock and random numbers under moto, so that a replayed call gives the same ids and times
record     the log of mutating calls on disk
mends      checks and states that moto lacks outside EKS (in-use checks, NAT gateways that take time, S3 defaults)
counts     how many resources there are, by kind
eks/       EKS, in place of moto's
"""
