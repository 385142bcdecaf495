"""The kinds of files, one a file: each gives texts and says where in the file they stand."""
