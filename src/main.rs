//! The `cmat` program: arguments in, exit code out.

fn main() {}
