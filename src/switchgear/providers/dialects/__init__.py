"""What clients speak: one file per dialect with `decode_request`, `encode_response` and `encode_error`."""
