"""How the commands print their results for people: tables and lines."""
