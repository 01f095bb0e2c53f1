"""Writes docs/job-files.md, docs/settings.md and docs/commands.md anew; a test says when that is due."""

from __future__ import annotations

from tests.reference import pages


def main() -> None:
    """Says which files changed."""
    for path, text in pages.made().items():
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            print(f"wrote {path.relative_to(pages.DOCS.parent)}")


if __name__ == "__main__":
    main()
