"""Configuration: one YAML or TOML file into structs (`schema`), with file, line and key in every error (`load`)."""
