"""What each command does: one file a command, a room for those of several files."""
