"""Images and masks in, numbers out; nothing here knows of jobs."""
