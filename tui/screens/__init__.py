"""What fills the terminal: each screen arranges widgets and answers its commands."""
