"""The Python interface: one function for each command, with plain arguments and defaults.

Use the functions as ``bana.label``, ``bana.evaluate`` and so on. Each returns what the command prints: an object with
``as_dict()``, or the path of the file that was written. Progress goes to standard error unless ``quiet`` is set.
"""
