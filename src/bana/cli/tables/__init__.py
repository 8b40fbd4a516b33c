"""What a person reads of the commands' results: tables and lines."""
