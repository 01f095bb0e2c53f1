"""The screens of `grist tui`, fed over the daemon's socket alone."""
