"""Bitcoin: block files, scripts and addresses, networks."""
