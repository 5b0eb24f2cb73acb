"""`python -m clipgen` is the `clipgen` command."""

from clipgen.cli.app import main

if __name__ == "__main__":
    main()
