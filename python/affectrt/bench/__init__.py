"""Measures what affectrt costs on this machine: `affectrt bench`, and the facts of the machine that go with every figure."""
