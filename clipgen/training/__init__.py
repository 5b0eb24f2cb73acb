"""Training networks on anyone's captioned pictures."""
