"""The screens, against a real socket in the test process."""
