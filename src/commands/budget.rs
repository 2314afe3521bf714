//! `cmat budget … | set-budget`: limits on spending, and how they stand.

mod alerts;
mod file;
mod overriding;
mod setting;
mod standing;
pub(super) mod starting;

use crate::cli::BudgetCommand;
use crate::commands::Context;
use crate::commands::Exit;

pub(super) use self::overriding::refuse_inside_claude_code;
pub(super) use self::setting::set_plain;
pub(super) use self::standing::Stands;

pub(super) fn run(command: &BudgetCommand, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    match command {
        BudgetCommand::Set(args) => setting::set(args, context),
        BudgetCommand::List => standing::list(context),
        BudgetCommand::Status => standing::status(context),
        BudgetCommand::Check { estimate } => standing::check(*estimate, context),
        BudgetCommand::Override { scope, amount, time, reason } => {
            overriding::run(&overriding::Asked { scope, amount: *amount, time: *time, reason }, context)
        }
        BudgetCommand::Alerts { deliver, test } => alerts::run(*deliver, *test, context),
        BudgetCommand::Remove { id } => setting::remove(id, context),
    }
}
