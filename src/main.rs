//! The program: window, command line or worker.
use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|verb| verb == "worker") {
        return cranescope::worker::main();
    }
    #[cfg(unix)]
    if let [_, verb, at] = std::env::args_os().collect::<Vec<_>>().as_slice()
        && verb == "unmount-when-over"
    {
        cranescope::session::unmount_when_over(std::path::Path::new(at));
        return ExitCode::SUCCESS;
    }
    cranescope::cli::main(window)
}

#[cfg(feature = "gui")]
fn window(open: Vec<std::path::PathBuf>) -> Result<(), cranescope::session::Failure> {
    cranescope::gui::run(open)
}

#[cfg(not(feature = "gui"))]
fn window(_open: Vec<std::path::PathBuf>) -> Result<(), cranescope::session::Failure> {
    let what = "this build has no window; use `cranescope examine IMAGE`";
    Err(cranescope::session::Failure::environment(what))
}
