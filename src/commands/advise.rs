//! `cmat advise`: what would have been cheaper, computed from the owner's own requests.

use std::ops::ControlFlow;

use crate::advice::Adviser;
use crate::advice::Charged;
use crate::cache_use::Thread;
use crate::cli::AdviseArgs;
use crate::commands::Context;
use crate::commands::Exit;
use crate::commands::Usage;
use crate::commands::complain;
use crate::commands::report::nothing_found;
use crate::ledger::LedgerError;
use crate::models_file;
use crate::query;
use crate::query::Dimension;
use crate::report::Certainty;
use crate::report::advice_sheet;

pub(super) fn run(args: &AdviseArgs, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    if let Dimension::Time(_) | Dimension::Model = args.by {
        return Err(Usage(format!("`--by {}`: it tells uses apart, not days or models", args.by)).into());
    }
    let books = context.asked_books()?;
    let selection = context.recent_selection(&args.selection, &books)?;
    let calendar = context.config.calendar.clone();
    let prices = books.ledger.prices()?;
    let table = models_file::load(None, Some(&context.config.user_dir))?.table;
    let mut adviser = Adviser::new(&table);
    let told = [Dimension::Session, args.by.clone()];
    books.ledger.each_charge(&selection.filter, &told, &calendar, |charge| {
        let price = charge.price.and_then(|number| prices.get(&number)).map(|(_, price)| price);
        let Some(price) = price.filter(|_| charge.source.is_none() && charge.kind == "message") else {
            return Ok::<_, LedgerError>(ControlFlow::Continue(()));
        };
        adviser.take(&Charged {
            thread: Thread {
                session: charge.key(0)?.unwrap_or_default().into_owned(),
                agent_id: charge.agent_id.map(str::to_owned),
                model: charge.model.to_owned(),
            },
            used_for: charge.key(1)?.map(|name| name.into_owned()),
            at: charge.at,
            tokens: charge.tokens,
            web_search_requests: charge.web_search_requests,
            price,
            cost: charge.cost,
            estimated: charge.estimated,
        });
        Ok(ControlFlow::Continue(()))
    })?;
    let advice = adviser.advice(args.min);
    let totals = query::whole(&books.ledger.groups(&selection.filter, &[], &calendar)?);
    if context.global.json {
        let asked = context.asked(&selection.filter, selection.days);
        let billing = context.config.billing;
        context.print_json(&advice_sheet::document(&args.by, &advice, &totals, &asked, billing))?;
    } else if totals.requests == 0 {
        complain(nothing_found(&books)?);
    } else if advice.is_empty() {
        let spent = crate::report::amount(totals.cost.total(), Certainty::of(&totals));
        let least = args.min;
        if totals.cost.total() < least {
            writeln!(
                context.out,
                "{spent} were spent, and what saves less than ${least} is not told (--min)"
            )?;
        } else {
            writeln!(
                context.out,
                "nothing would have saved ${least} or more of the {spent} that were spent"
            )?;
        }
    } else {
        write!(context.out, "{}", advice_sheet::render(&args.by, &advice))?;
        complain("savings overlap and do not add up; nothing is said of how good the work would have been");
    }
    context.remark(&totals);
    Ok(context.certain_exit(&totals))
}
