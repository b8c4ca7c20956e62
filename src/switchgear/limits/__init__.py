"""What a caller may use: one concept of a limit, spent from leases. Read `limits` (the facade), then `leases`."""
