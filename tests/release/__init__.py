"""What a release must pass before it is one, and how its version and its part of the changelog are cut."""
