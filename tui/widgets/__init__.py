"""What is drawn: each widget keeps its lines and repaints only the spans that changed."""
