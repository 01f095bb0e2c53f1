"""What the daemon costs and how near it comes to what the machine allows: one part a file, each a `part(compact)`."""
