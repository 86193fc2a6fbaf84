//! `docs/reference/commands.md`, from the command line itself.

use std::fmt::Write as _;

use clap::{Arg, Command, CommandFactory as _};

use super::Cli;

const HEAD: &str = "\
# Commands

Every command with a `--config` reads the same file and the same environment as `serve`: see
[configuration](../configuration.md). What goes wrong is told on standard error.

| exit code | meaning |
| --- | --- |
| 0 | done |
| 1 | not done, and why |
| 2 | the command line or the configuration is wrong; every problem is listed, and nothing was done |

This page is made from the program by `device-grant init --commands`, and a test keeps it fresh.
";

/// The page.
pub(crate) fn reference() -> String {
    let mut cli = Cli::command();
    cli.build();
    let mut page = HEAD.to_owned();
    for command in subcommands(&cli) {
        describe(&mut page, command);
    }
    page
}

/// A command that only has others below it takes no line of its own: they say what can be done.
fn describe(page: &mut String, command: &Command) {
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
    let about = command.get_about().map(|about| sentence(&about.to_string())).unwrap_or_default();
    writeln!(page, "\n## `{name}`\n\n{about}").expect("writing to a string cannot fail");
    let arguments: Vec<&Arg> = command.get_arguments().filter(|argument| is_shown(argument)).collect();
    if !command.has_subcommands() || !arguments.is_empty() {
        page.push_str(&usage(command));
    }
    if !arguments.is_empty() {
        page.push_str("\n| argument | default | meaning |\n| --- | --- | --- |\n");
    }
    for argument in arguments {
        writeln!(page, "| `{}` | {} | {} |", spelling(argument), default(argument), meaning(argument))
            .expect("writing to a string cannot fail");
    }
    for below in subcommands(command) {
        describe(page, below);
    }
}

fn usage(command: &Command) -> String {
    let usage = command.clone().render_usage().to_string();
    format!("\n```text\n{}\n```\n", usage.trim_start_matches("Usage:").trim())
}

fn subcommands(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|command| !command.is_hide_set() && command.get_name() != "help")
}

fn is_shown(argument: &Arg) -> bool {
    !argument.is_hide_set() && !["help", "version"].contains(&argument.get_id().as_str())
}

fn spelling(argument: &Arg) -> String {
    let names = argument.get_value_names().unwrap_or_default();
    let value = names.iter().map(|name| format!("<{name}>")).collect::<Vec<_>>().join(" ");
    match argument.get_long() {
        Some(long) if takes_value(argument) => format!("--{long} {value}"),
        Some(long) => format!("--{long}"),
        None => value,
    }
}

fn default(argument: &Arg) -> String {
    let values = argument.get_default_values().iter().filter(|_| takes_value(argument));
    values.map(|value| format!("`{}`", value.to_string_lossy())).collect::<Vec<_>>().join(", ")
}

fn meaning(argument: &Arg) -> String {
    let mut text = argument.get_help().map(|help| sentence(&help.to_string())).unwrap_or_default();
    for value in argument.get_possible_values().iter().filter(|_| takes_value(argument)) {
        let help = value.get_help().map(|help| format!(": {}", sentence(&help.to_string())));
        write!(text, " `{}`{}", value.get_name(), help.unwrap_or_default())
            .expect("writing to a string cannot fail");
    }
    // A bar would end the cell.
    text.replace('|', "\\|")
}

fn takes_value(argument: &Arg) -> bool {
    argument.get_action().takes_values()
}

/// Help texts lose their last stop on their way through the command line parser.
fn sentence(text: &str) -> String {
    let text = text.trim_end_matches('.');
    format!("{text}.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_of_commands_is_fresh() {
        let page = include_str!("../../../../docs/reference/commands.md");
        let hint = "cargo run -q -p device-grant -- init --commands > docs/reference/commands.md";
        assert!(page == reference(), "docs/reference/commands.md is not what the program says: {hint}");
    }

    #[test]
    fn every_command_has_its_arguments_and_no_hidden_ones() {
        let page = reference();
        for line in ["## `device-grant serve`", "## `device-grant key retire`", "| `--log-devices-out` |"] {
            assert!(page.lines().any(|there| there.starts_with(line)), "{line}");
        }
        assert!(page.contains("| `--listen <ADDR>` | `127.0.0.1:8080` | Where to listen"), "{page}");
        assert!(!page.contains("| `--reference` |") && !page.contains("help`"), "{page}");
    }
}
