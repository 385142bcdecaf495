"""Documents of custodians, exchanges and banks: read, kept with where each fact stands, and checked."""
