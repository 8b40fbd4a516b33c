"""A run as one HTML file: all of it inside, nothing fetched, to be opened from the disk."""
