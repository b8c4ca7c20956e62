"""What upstreams speak: one file per wire format with `encode_request`, `decode_response` and `decode_error`."""
