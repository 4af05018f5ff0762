"""One module a pack family; each runs as `python -m affectrt_export.recipes.<module> --out DIR`."""
