"""The operator's pages: calls in progress and past, read from the store, whichever process runs them."""
