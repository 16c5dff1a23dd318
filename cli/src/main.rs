//! The `stoa` command.

fn main() -> std::process::ExitCode {
    stoa::main()
}
