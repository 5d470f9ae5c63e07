"""The local AWS: moto behind one port, with what it lacks for this stack.

app               the pipeline of a call: resolve, delay, fault, do, log
routing           which operation of which service a request is, from botocore's service models
clock             time and random numbers under moto, so that a replayed call gives the same ids and times
call_log          the log of mutating calls on disk
moto_state        what moto holds, as typed values
moto_patches      checks and states that moto lacks outside EKS (in-use checks, S3 defaults); NAT gateways in `nat_gateways`
added_operations  small operations that moto does not have
resource_counts   how many resources there are, by kind
eks/              EKS, in place of moto's
"""
