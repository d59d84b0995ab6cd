"""Where finished files go: moved by link and unlink, never over another file."""
