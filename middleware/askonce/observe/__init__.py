"""What can be seen of the cache from outside: events, and those who hear them."""
