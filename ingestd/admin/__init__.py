"""What an administrator does with a database: rebuild, prune, copy, check and mend it."""
