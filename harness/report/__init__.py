"""The HTML page and its tables: a file and a template per section."""
