"""The page: jobs that a browser, a program or an assistant asks for, made by sessions one after the other."""
