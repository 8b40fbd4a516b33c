"""All stages in one go, each skipped where nothing has changed: `bana run` and `bana reproduce`."""
