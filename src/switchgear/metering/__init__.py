"""What requests may use and what they used: limits, prices and the ledger, joined for the gateway.

`metering` has what is the same for all requests of a worker, `meter` follows one request through its attempts,
`accounts` prepares for the compiled path what it needs to do the same without Python, `tags` reads what a client wants
written beside its usage.
"""
