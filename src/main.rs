//! The program: window, command line or worker.
use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|verb| verb == "worker") {
        return cranescope::worker::main();
    }
    cranescope::cli::main()
}
