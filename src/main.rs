//! The program: window, command line or worker.
fn main() {}
