"""Networks that the stages share."""
