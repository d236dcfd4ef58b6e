#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| spdy_fuzz::run("tunnel", input));
