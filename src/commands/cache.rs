//! `cmat cache`: what the prompt cache saved and cost.

use crate::cli::CacheArgs;
use crate::commands::Context;
use crate::commands::Exit;
use crate::commands::complain;
use crate::commands::report::nothing_found;
use crate::report::cache_sheet;

pub(super) fn run(args: &CacheArgs, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let books = context.asked_books()?;
    let selection = context.selection(&args.selection, &books)?;
    let calendar = context.config.calendar.clone();
    let groups = books.ledger.cache_groups(&selection.filter, &args.by, &calendar)?;
    if context.global.json {
        let asked = context.asked(&selection.filter, selection.days);
        let billing = context.config.billing;
        context.print_json(&cache_sheet::document(&args.by, &groups, &calendar, &asked, billing))?;
    } else if groups.is_empty() {
        complain(nothing_found(&books)?);
    } else {
        write!(context.out, "{}", cache_sheet::render(&args.by, &groups, &calendar))?;
    }
    context.remark_billing();
    Ok(Exit::Done)
}
