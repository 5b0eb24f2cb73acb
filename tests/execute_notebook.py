"""Executes a notebook: `python execute_notebook.py NOTEBOOK EXECUTED`, in a process of its own.

What the kernel and its client warn of, and the event loop that they leave, stay out of the process of the tests.
"""

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

if __name__ == "__main__":
    notebook = nbformat.read(sys.argv[1], as_version=4)
    try:
        NotebookClient(notebook, timeout=500).execute()
    finally:
        Path(sys.argv[2]).write_text(nbformat.writes(notebook), encoding="utf-8")
