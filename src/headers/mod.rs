//! Name/value blocks and their compression (SPDY/3.1 section 2.6.10).
