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

/// What goes around the function of `clap_complete`: Bash begins a new word at `=` and `:`, cmat does not.
const WHOLE_WORDS: &str = r#"
# Bash begins a new word at `=` and `:`; cmat is asked about the whole one, and its answers lose what stands before.
_cmat_whole_words() {
    local line="${COMP_LINE:0:COMP_POINT}" last="$2" typed before i
    local -a whole=()
    for ((i = 0; i < COMP_CWORD; i++)); do
        if [[ $i -gt 0 && $line != [[:space:]]* ]]; then
            whole[${#whole[@]}-1]+="${COMP_WORDS[i]}"
        else
            whole+=("${COMP_WORDS[i]}")
        fi
        line="${line#*"${COMP_WORDS[i]}"}"
    done
    if [[ $line == [[:space:]]* ]]; then
        whole+=("")
        line="${line#"${line%%[![:space:]]*}"}"
    fi
    typed="${whole[${#whole[@]}-1]}$line"
    if [[ $typed == *[\'\"\\]* ]]; then
        _clap_complete_cmat "$@"
        return
    fi
    whole[${#whole[@]}-1]="$typed"
    local COMP_WORDS=("${whole[@]}") COMP_CWORD=$((${#whole[@]} - 1))
    _clap_complete_cmat "$1" "$typed" "$3"
    before="${typed%"$last"}"
    COMPREPLY=("${COMPREPLY[@]#"$before"}")
}
complete -o nospace -o bashdefault -o nosort -F _cmat_whole_words cmat 2>/dev/null ||
    complete -o nospace -o bashdefault -F _cmat_whole_words cmat
"#;

/// Prints what the shell is to run when it starts. It asks this cmat then, so that names of tasks are known.
pub(super) fn completions(shell: Shell, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let shells = Shells::builtins();
    let Some(completer) = shells.completer(shell.name()) else {
        bail!("completions for {} are not built in", shell.name());
    };
    completer.write_registration(COMPLETE, "cmat", "cmat", "cmat", &mut context.out)?;
    if shell == Shell::Bash {
        context.out.write_all(WHOLE_WORDS.as_bytes())?;
    }
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
