//! `cmat completions SHELL` and `cmat man DIR`: what a shell and `man` need to know of cmat.

use std::path::Path;

use anyhow::Context as _;
use anyhow::bail;
use clap::CommandFactory as _;
use clap_complete::env::Shells;

use crate::cli::Cli;
use crate::cli::Shell;
use crate::commands::Context;
use crate::commands::Exit;
use crate::disk::replace;
use crate::disk::replace::Access;
use crate::report::counted;

/// The variable by which a shell asks cmat what could be typed next.
pub(super) const COMPLETE: &str = "CMAT_COMPLETE";

/// Prints what the shell is to run when it starts. It asks this cmat then, so that names of tasks are known.
pub(super) fn completions(shell: Shell, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let shells = Shells::builtins();
    let Some(completer) = shells.completer(shell.name()) else {
        bail!("completions for {} are not built in", shell.name());
    };
    completer.write_registration(COMPLETE, "cmat", "cmat", "cmat", &mut context.out)?;
    Ok(Exit::Done)
}

/// Writes a page for each command into `folder`.
pub(super) fn man(folder: &Path, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let n_pages = pages(&command, "cmat", folder)?;
    writeln!(context.out, "{} in {}", counted(n_pages, "page"), folder.display())?;
    Ok(Exit::Done)
}

fn pages(command: &clap::Command, name: &str, folder: &Path) -> anyhow::Result<u64> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    if let Some(example) = command.get_before_help() {
        page.extend_from_slice(examples(&example.to_string()).as_bytes());
    }
    replace::write(&folder.join(format!("{name}.1")), &page, Access::Shared)?;
    let below = command.get_subcommands().filter(|command| !command.is_hide_set());
    below
        .map(|command| pages(command, &format!("{name}-{}", command.get_name()), folder))
        .try_fold(1, |sum, n| Ok(sum + n?))
}

/// Returns the section of a page that shows what the help begins with.
fn examples(help: &str) -> String {
    let mut section = ".SH EXAMPLES\n.nf\n".to_owned();
    for line in help.lines() {
        let line = line.trim_start().trim_start_matches("Example:").trim_start();
        section.push_str("\\&");
        section.push_str(&line.replace('\\', "\\e").replace('-', "\\-"));
        section.push('\n');
    }
    section + ".fi\n"
}
