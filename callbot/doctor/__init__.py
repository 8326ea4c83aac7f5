"""``callbot doctor``: what this machine and these settings lack, and what to do about it. One concern a file."""
