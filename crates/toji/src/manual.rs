//! `toji manual` and `toji completion`: what a shell and `man` know of the commands, made from their declaration.

mod guide;
mod notes;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Command;
use clap_mangen::roff::{Roff, bold, roman};

/// What `toji manual` can be told.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The directory: pages of commands go into `man1` in it, those of files into `man5`. With /usr/local/share/man every user has them.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// What `toji completion` can be told.
#[derive(clap::Args)]
pub(crate) struct CompletionOptions {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Shell {
    /// To `/usr/share/bash-completion/completions/toji`, or `source <(toji completion bash)`.
    Bash,
    /// To `_toji` in a directory of `$fpath`.
    Zsh,
    /// To `~/.config/fish/completions/toji.fish`.
    Fish,
}

/// A file of the manual: its name below the directory, and its text.
struct Page {
    name: String,
    text: String,
}

/// Writes the manual.
///
/// # Errors
/// When the directory cannot be written.
pub(crate) fn run(options: &Options, command: Command) -> anyhow::Result<()> {
    for page in pages(command)? {
        write(&options.dir.join(page.name), &page.text)?;
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let failed = || format!("failed to write {}", path.display());
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).with_context(failed)?;
    }
    std::fs::write(path, text).with_context(failed)
}

/// Prints what a shell reads to complete command lines.
///
/// # Errors
/// When nobody reads it.
pub(crate) fn run_completion(
    options: &CompletionOptions,
    mut command: Command,
) -> anyhow::Result<()> {
    use clap_complete::aot;
    // Into memory first: the library panics where a pipe has been closed.
    let mut text = Vec::new();
    let (command, out) = (&mut command, &mut text);
    match options.shell {
        Shell::Bash => aot::generate(aot::Bash, command, "toji", out),
        Shell::Zsh => aot::generate(aot::Zsh, command, "toji", out),
        Shell::Fish => aot::generate(aot::Fish, command, "toji", out),
    }
    std::io::stdout().write_all(&text).context("failed to print")
}

/// All pages.
fn pages(command: Command) -> anyhow::Result<Vec<Page>> {
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let mut pages = Vec::new();
    add(&command, None, &mut pages)?;
    pages.push(Page {
        name: format!("man5/{}.5", guide::HUB_CONF),
        text: guide::page(
            guide::HUB_CONF,
            include_str!("../../../docs/guide/hub-conf.md"),
            &[("toji-hub", 1), ("toji-repod", 1), ("toji-policy", 1)],
        ),
    });
    Ok(pages)
}

/// The page of a command, those of its other names, and those of the commands below it.
fn add(command: &Command, parent: Option<&Command>, pages: &mut Vec<Page>) -> anyhow::Result<()> {
    let name = page_name(command);
    let text = page(command, parent)?;
    if let Some(parent) = parent.map(page_name) {
        for alias in command.get_visible_aliases() {
            let name = format!("man1/{parent}-{alias}.1");
            pages.push(Page { name, text: text.clone() });
        }
    }
    pages.push(Page { name: format!("man1/{name}.1"), text });
    shown(command).try_for_each(|below| add(below, Some(command), pages))
}

fn page_name(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|below| !below.is_hide_set())
}

fn page(command: &Command, parent: Option<&Command>) -> anyhow::Result<String> {
    let mut told = command.clone().mut_args(with_aliases);
    // All options in one line say less than that there are some.
    let usage = told.render_usage().to_string();
    let told = told.override_usage(usage.trim_start_matches("Usage:").trim().to_owned());
    let mut page = Vec::new();
    clap_mangen::Man::new(told).render(&mut page).context("failed to write a page")?;
    let page = String::from_utf8(page).context("failed to write a page")?;
    let begin = page.find(".SH").unwrap_or_default();
    let mut text = head(page_name(command), 1);
    text.push_str(&readable(&page[begin..]));

    let mut rest = Roff::new();
    let words = page_name(command).split('-').collect::<Vec<_>>();
    list(&mut rest, "EXIT STATUS", &notes::exits(page_name(command)));
    list(&mut rest, "FILES", &notes::files(command));
    list(&mut rest, "ENVIRONMENT", &notes::environment(command));
    let above = parent.map(|parent| (page_name(parent).to_owned(), 1));
    let beside = notes::beside(words.get(1..).unwrap_or_default(), command);
    see_also(&mut rest, above.into_iter().chain(beside));
    text.push_str(&body(&rest));
    Ok(text)
}

/// The beginning of a page. It has no date, so that the same program always writes the same; names of options are not hyphenated.
fn head(name: &str, section: u8) -> String {
    let (title, version) = (name.to_uppercase(), env!("CARGO_PKG_VERSION"));
    let mut head = Roff::new().render();
    head.push_str(&format!(".TH {title} {section} \"\" \"Toji {version}\" Toji\n.nh\n.ad l\n"));
    head
}

/// The text without what the library begins each text with, which [`head`] has.
fn body(roff: &Roff) -> String {
    let (text, begin) = (roff.render(), Roff::new().render());
    text.strip_prefix(&begin).unwrap_or(&text).to_owned()
}

/// Names an option's other names, which the library leaves out.
fn with_aliases(arg: clap::Arg) -> clap::Arg {
    let Some(aliases) = arg.get_visible_aliases().filter(|aliases| !aliases.is_empty()) else {
        return arg;
    };
    let names: Vec<String> = aliases.iter().map(|name| format!("`--{name}`")).collect();
    let also = format!(" (also {})", names.join(", "));
    let with = |help: &clap::builder::StyledStr| format!("{help}{also}");
    let (short, long) = (arg.get_help().map(with), arg.get_long_help().map(with));
    let arg = if let Some(short) = short { arg.help(short) } else { arg };
    if let Some(long) = long { arg.long_help(long) } else { arg }
}

/// A section of names and what they are.
fn list(roff: &mut Roff, title: &str, entries: &[(String, String)]) {
    if entries.is_empty() {
        return;
    }
    roff.control("SH", [title]);
    for (name, text) in entries {
        roff.control("TP", []);
        roff.text([bold(name.as_str())]);
        roff.text([roman(text.as_str())]);
    }
}

/// The last section of a page: names of pages and their sections.
fn see_also(roff: &mut Roff, pages: impl Iterator<Item = (String, u8)>) {
    let mut line = Vec::new();
    for (name, section) in pages {
        if !line.is_empty() {
            line.push(roman(", "));
        }
        line.extend([bold(name), roman(format!("({section})"))]);
    }
    if !line.is_empty() {
        roff.control("SH", ["SEE ALSO"]);
        roff.text(line);
    }
}

/// What help texts have between backticks in bold type, and empty lines as the space that they mean.
fn readable(page: &str) -> String {
    let mut out = String::with_capacity(page.len());
    let lines: Vec<&str> = page.lines().collect();
    for (at, line) in lines.iter().enumerate() {
        let beside = [at.checked_sub(1), at.checked_add(1)];
        match *line {
            "" => out.push_str(".sp"),
            // The space ends the line already.
            ".br" if beside.iter().flatten().any(|at| lines.get(*at) == Some(&"")) => continue,
            line if line.starts_with('.') => out.push_str(line),
            line => emphasize(line, &mut out),
        }
        out.push('\n');
    }
    out
}

fn emphasize(line: &str, out: &mut String) {
    let parts: Vec<&str> = line.split('`').collect();
    let whole = parts.len() % 2 == 1;
    for (at, part) in parts.iter().enumerate() {
        match at {
            0 => {}
            _ if !whole => out.push('`'),
            at => out.push_str(if at % 2 == 1 { "\\fB" } else { "\\fR" }),
        }
        out.push_str(part);
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn names(command: &Command, prefix: &str, found: &mut Vec<String>) {
        found.push(format!("man1/{prefix}.1"));
        for below in shown(command) {
            names(below, &format!("{prefix}-{}", below.get_name()), found);
        }
    }

    #[test]
    fn every_command_has_a_page() {
        let mut wanted = Vec::new();
        names(&crate::Cli::command(), "toji", &mut wanted);
        let pages = pages(crate::Cli::command()).unwrap();
        let found: Vec<&str> = pages.iter().map(|page| page.name.as_str()).collect();
        for name in &wanted {
            assert!(found.contains(&name.as_str()), "{name} is missing in {found:?}");
        }
        assert!(found.contains(&"man1/toji-watch-tasks.1"), "{found:?}");
        assert!(found.len() > 40 && wanted.contains(&"man1/toji-repo-check.1".to_owned()));
    }

    #[test]
    fn notes_are_about_commands_that_exist() {
        let mut known = Vec::new();
        names(&crate::Cli::command(), "toji", &mut known);
        for name in notes::named() {
            assert!(known.contains(&format!("man1/toji-{name}.1")), "no command {name}");
        }
    }

    #[test]
    fn backticks_are_bold() {
        assert_eq!(
            readable(".SH `A`\na `b` c\n.br\n\n.br\none ` alone\n.br\n"),
            ".SH `A`\na \\fBb\\fR c\n.sp\none ` alone\n.br\n"
        );
    }
}
