"""Fetching where no network is: questions go out in a file, answers come in as one."""
