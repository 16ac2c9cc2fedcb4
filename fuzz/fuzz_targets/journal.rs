#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| trialmill_fuzz::journal(bytes));
