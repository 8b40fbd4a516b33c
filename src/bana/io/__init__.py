"""Files and places: atomic writes, locks, remote addresses, shards, strict JSON and YAML, faults. It knows no image."""
